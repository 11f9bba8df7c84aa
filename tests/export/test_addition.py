"""Law: a precision that fails takes no other with it, and no export loses one that a bundle has."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import onnx_ir as ir
import pytest

from sewd_export import Exported, ExportError, add, export, exporter
from sewd_export.cli import main
from sewd_export.errors import CheckpointError, ParityError
from sewd_export.precisions import PRECISIONS
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.bundle.manifest import Tolerance
from sewd_runtime.errors import BundleHashError
from tests.language_models import list_language_model

IMPOSSIBLE = Tolerance(max_abs=1e-30, relative=1e-30, batch_error=1e-30)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(autouse=True)
def _traced_before(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "trace", lambda *_, **__: ir.load(exported.path / "model.fp32.onnx"))


def fail(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a precision miss its tolerance."""
    monkeypatch.setitem(PRECISIONS, name, dataclasses.replace(PRECISIONS[name], tolerance=IMPOSSIBLE))


def test_the_others_are_written_and_the_failed_one_can_be_added(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    with monkeypatch.context() as patch:
        fail("int8", patch)
        assert main([str(tiny), "--int8", "--fp16", "-o", str(bundle), "--json"]) == 3
        told = capsys.readouterr()
        assert main([str(tiny), "--int8", "--strict", "-q", "-o", str(tmp_path / "strict")]) == 1
        assert not (tmp_path / "strict").exists()
    assert "int8 failed verification on '" in told.err
    assert json.loads(told.out)["speeds"].keys() == {"fp16", "fp32"}
    assert "try --max-wer-increase" in told.err
    manifest = open_bundle(bundle).manifest
    assert list(manifest.precisions) == ["fp16", "fp32"]
    assert manifest.failed == json.loads(told.out)["failed"]
    assert list(manifest.failed) == ["int8"]
    assert not (bundle / "model.int8.onnx").exists()
    before = content(bundle)
    added = add(bundle, tiny, precisions=("int8",))
    assert (added.failed, added.manifest.failed) == ({}, {})
    opened = open_bundle(bundle)
    opened.verify()
    assert list(opened.manifest.precisions) == ["fp16", "fp32", "int8"]
    after = content(bundle)
    assert after.keys() - before.keys() == {"model.int8.onnx"}
    assert {name for name in before if before[name] != after[name]} == {"bundle.json"}
    again = export(tiny, tmp_path / "again", precisions=("fp16", "int8"))
    assert again.manifest.files == opened.manifest.files
    assert again.manifest.precisions == opened.manifest.precisions


def test_a_precision_that_a_bundle_has_is_never_dropped(
    tiny: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(bundle, tiny, precisions=("int8",))
    before = content(bundle)
    with pytest.raises(ExportError, match=r"has int8, which this export would drop: add --int8; .* --add"):
        export(tiny, bundle, precisions=("fp16",))
    fail("int8", monkeypatch)
    with pytest.raises(ExportError, match="left as it was, because it has int8, which failed now"):
        export(tiny, bundle, precisions=("int8",))
    with pytest.raises(ExportError, match="has int8 already"):
        add(bundle, tiny, precisions=("int8",))
    assert content(bundle) == before


def test_the_language_model_of_a_bundle_stays(
    tiny: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle / "lm.arpa").write_bytes(b"n-grams")
    lm = list_language_model(bundle)
    before = open_bundle(bundle).manifest
    assert main([str(tiny), "--add", str(bundle), "--int8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["language_model"]["file"] == lm.name
    opened = open_bundle(bundle)
    opened.verify()
    assert list(opened.manifest.precisions) == ["fp32", "int8"]
    assert opened.manifest.language_model == before.language_model
    assert opened.manifest.files[lm.name] == before.files[lm.name]
    assert lm.read_bytes() == b"n-grams"


def test_nothing_is_added_if_everything_fails(
    tiny: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail("int8", monkeypatch)
    before = content(bundle)
    with pytest.raises(ExportError, match="int8 failed verification on"):
        add(bundle, tiny, precisions=("int8",))
    with pytest.raises(ParityError):
        add(bundle, tiny, precisions=("int8",), strict=True)
    assert content(bundle) == before


def test_what_cannot_be_added(tiny: Path, bundle: Path, encoder: Path) -> None:
    with pytest.raises(ExportError, match="name the precisions to add"):
        add(bundle, tiny, precisions=("fp32",))
    with pytest.raises(CheckpointError, match="was made from checkpoint-tiny"):
        add(bundle, encoder, precisions=("int8",))
    (bundle / "golden.npz").write_bytes(b"")
    with pytest.raises(BundleHashError):
        add(bundle, tiny, precisions=("int8",))


@pytest.mark.parametrize("options", [[], ["--int8", "-o", "b"], ["--int8", "--tensorrt"], ["--verify", "b"]])
def test_wrong_usage_of_add(options: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--add", "bundle", *options])
    assert stopped.value.code == 2
