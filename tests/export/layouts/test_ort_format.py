"""Law: the ORT format gives what ONNX gives, to the last bit, and its configuration names every operator."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sewd_export import ExportError, cli
from sewd_export.layouts.ort_format import OPERATORS_NAME, write_ort
from sewd_runtime.bundle.folder import Bundle, open_bundle
from sewd_runtime.inference.session import Session, pad

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module", params=["tiny", "tiny-classifier"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("ort") / "model"
    return open_bundle(Path(shutil.copytree(DATA / request.param, folder)))


@pytest.fixture(scope="module")
def folder(bundle: Bundle) -> Path:
    return write_ort(bundle.path)


def test_the_ordinary_runtime_gives_the_same(bundle: Bundle, folder: Path) -> None:
    rng = np.random.default_rng(3)
    batch = pad([rng.normal(0, 0.1, length).astype(np.float32) for length in (8_001, 400, 5_555)])
    for entry in bundle.manifest.precisions.values():
        paths = (bundle.path_of(entry.file), (folder / entry.file).with_suffix(".ort"))
        sessions = [Session.open(path, task=bundle.manifest.task) for path in paths]
        [(output, lengths), (other, other_lengths)] = [session.run(*batch) for session in sessions]
        np.testing.assert_array_equal(other, output)
        np.testing.assert_array_equal(other_lengths, lengths)


def test_the_configuration_names_what_runs(bundle: Bundle, folder: Path) -> None:
    lines = (folder / OPERATORS_NAME).read_text().splitlines()
    rows = [line.split(";") for line in lines if not line.startswith("#")]
    named = {(domain, name) for domain, _, names in rows for name in names.split(",")}
    assert {("ai.onnx", "MatMul"), ("ai.onnx", "Softmax"), ("ai.onnx", "LayerNormalization")} <= named
    assert {domain for domain, *_ in rows} == {"ai.onnx", "com.microsoft"}
    assert not any("NCHWc" in line or str(bundle.path.parent) in line for line in lines)


def test_a_folder_replaces_only_itself(bundle: Bundle, folder: Path) -> None:
    before = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert write_ort(bundle.path) == folder
    assert {path.name: path.stat().st_size for path in folder.iterdir()} == before  # its bytes are a draw
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"notes.txt"):
        write_ort(bundle.path)
    (folder / "notes.txt").unlink()


def test_what_onnxruntime_cannot_write_leaves_nothing(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bundle, "verify", lambda self: None)
    broken = Path(shutil.copytree(bundle.path, tmp_path / "broken"))
    (broken / "model.fp32.onnx").write_bytes(b"no graph")
    with pytest.raises(ExportError, match="cannot write its own format"):
        write_ort(broken)
    assert not (tmp_path / "broken-ort").exists()


def test_the_command_writes_it(bundle: Bundle, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--bundle", str(bundle.path), "--ort", "--json"]) == 0
    found = capfd.readouterr()
    assert json.loads(found.out)["written"] == [f"{bundle.path}-ort"]
    assert found.err == ""
