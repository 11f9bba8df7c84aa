"""Law: a sensitivity file is read strictly and shown in full, and a bad one is named."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.bundle.manifest import FileEntry
from sewd_runtime.bundle.sensitivity import Group, Sensitivity, Trial, sensitivity_file
from sewd_runtime.cli import main
from sewd_runtime.errors import ManifestKeyError, ManifestTypeError

NAME = sensitivity_file("int8")


@pytest.fixture
def sensitivity() -> Sensitivity:
    groups = (
        Group(products=("query/MatMul", "key/MatMul"), moved=2e-2, multiplications=0.125, kept=True),
        Group(products=("convolution/MatMul",), moved=1e-3, multiplications=0.875, kept=False),
    )
    return Sensitivity(
        measure="wer",
        max_increase=0.1,
        increase=-0.25,
        recordings=7,
        words=400,
        trials=(Trial(kept=0, increase=0.5), Trial(kept=1, increase=-0.25)),
        groups=groups,
    )


def bundle_with(folder: Path, content: str) -> Path:
    """Put the file into a bundle, with its hash in the manifest."""
    (folder / NAME).write_text(content, encoding="utf-8")
    manifest = open_bundle(folder).manifest
    entry = FileEntry(size_bytes=len(content.encode()), sha256=hashlib.sha256(content.encode()).hexdigest())
    changed = dataclasses.replace(manifest, files={**manifest.files, NAME: entry})
    (folder / "bundle.json").write_text(changed.to_json(), encoding="utf-8")
    return folder


def test_write_then_read_is_identity(sensitivity: Sensitivity) -> None:
    text = sensitivity.to_json(where=NAME)
    assert Sensitivity.from_json(text, where=NAME) == sensitivity
    assert [group.products for group in sensitivity.kept] == [("query/MatMul", "key/MatMul")]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"extra": 1}, ManifestKeyError),
        ({"measure": "cer"}, ManifestTypeError),
        ({"max_increase": -1}, ManifestTypeError),
        ({"recordings": 0}, ManifestTypeError),
        (
            {"groups": [{"products": ["a"], "moved": 0.1, "multiplications": 2, "kept": True}]},
            ManifestTypeError,
        ),
    ],
)
def test_a_bad_file_is_refused(
    sensitivity: Sensitivity, change: dict[str, Any], error: type[Exception]
) -> None:
    content = json.loads(sensitivity.to_json(where=NAME)) | change
    with pytest.raises(error, match=NAME.replace(".", r"\.")):
        Sensitivity.from_json(json.dumps(content), where=NAME)


def test_inspect_shows_what_is_kept_and_why(
    sensitivity: Sensitivity, broken_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle_with(broken_bundle, sensitivity.to_json(where=NAME))
    assert main(["inspect", str(broken_bundle), "--precision", "fp32"]) == 0
    shown = capsys.readouterr().out
    assert "int8: word error rate -0.25 percentage points against float32, at most +0.1 allowed" in shown
    assert "kept in float32: 1 of 2 groups of matmuls, 12.5% of their multiplications" in shown
    assert "2.0e-02   12.5%  query/MatMul, key/MatMul" in shown
    assert "convolution" not in shown


def test_inspect_fails_where_the_file_is_bad(broken_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle_with(broken_bundle, "{}")
    assert main(["inspect", str(broken_bundle), "--precision", "fp32"]) == 1
    assert f"{NAME}: FAILED: " in capsys.readouterr().out
