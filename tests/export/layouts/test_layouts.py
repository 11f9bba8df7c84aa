"""Law: a layout gives the bundle's results with other inputs and outputs; its folder replaces only itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest

from sewd_export import ExportError, cli
from sewd_export.layouts import LAYOUTS
from sewd_export.layouts.writing import write_layout
from sewd_runtime.bundle.folder import Bundle, open_bundle
from sewd_runtime.decode import log_softmax
from sewd_runtime.errors import BundleError, ModelError
from sewd_runtime.inference.session import pad
from sewd_runtime.system.hashing import sha256_of

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return open_bundle(shutil.copytree(DATA / "tiny", tmp_path_factory.mktemp("layouts") / "tiny"))


@pytest.fixture(scope="module", params=sorted(LAYOUTS))
def folder(request: pytest.FixtureRequest, bundle: Bundle) -> Path:
    return write_layout(bundle.path, request.param)


def run(path: Path, **feed: np.ndarray) -> Mapping[str, np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    assert {value.name for value in session.get_inputs()} == set(feed)
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def recordings(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [rng.normal(0, 0.1, length).astype(np.float32) for length in lengths]


def graphs(bundle: Bundle, folder: Path) -> dict[str, tuple[Path, Path]]:
    """Return precision → the bundle's graph and the layout's."""
    return {
        name: (
            bundle.path_of(entry.file),
            folder / ("model.onnx" if name == "fp32" else f"model.{name}.onnx"),
        )
        for name, entry in bundle.manifest.precisions.items()
    }


@pytest.mark.parametrize("lengths", [(400,), (7_001,), (8_000, 8_000, 8_000)])
def test_optimum_gets_the_same_logits(bundle: Bundle, lengths: tuple[int, ...]) -> None:
    folder = write_layout(bundle.path, "optimum")
    values, counts = pad(recordings(*lengths))
    for own, other in graphs(bundle, folder).values():
        found = run(other, input_values=values)
        assert list(found) == ["logits"]
        expected = run(own, input_values=values, input_lengths=counts)["logits"]
        np.testing.assert_array_equal(found["logits"], expected)


@pytest.mark.parametrize("lengths", [(400,), (7_001,), (9_000, 401, 6_543)])
def test_onnx_asr_gets_log_probs_and_blanks_past_the_end(bundle: Bundle, lengths: tuple[int, ...]) -> None:
    folder = write_layout(bundle.path, "onnx-asr")
    assert bundle.manifest.ctc is not None
    values, counts = pad(recordings(*lengths))
    for own, other in graphs(bundle, folder).values():
        found = run(other, input_values=values, input_lengths=counts)
        assert list(found) == ["logprobs"]
        expected = run(own, input_values=values, input_lengths=counts)
        for item, logits, frames in zip(
            found["logprobs"], expected["logits"], expected["output_lengths"], strict=True
        ):
            np.testing.assert_allclose(item[:frames], log_softmax(logits[:frames]), atol=1e-5)
            assert (item[frames:].argmax(axis=-1) == bundle.manifest.ctc.blank_id).all()
            np.testing.assert_allclose(np.exp(item).sum(axis=-1), 1, atol=1e-5)


def test_the_vocabulary_is_the_bundles(bundle: Bundle) -> None:
    text = (write_layout(bundle.path, "onnx-asr") / "vocab.txt").read_text(encoding="utf-8")
    lines = [line.split(" ") for line in text.splitlines()]
    assert [int(token_id) for _, token_id in lines] == list(range(bundle.manifest.num_outputs))
    tokens = json.loads(bundle.read_text("vocab.json"))
    changed = {token: lines[token_id][0] for token, token_id in tokens.items() if lines[token_id][0] != token}
    assert changed == {"<pad>": "<blk>", "|": "▁"}


def test_a_folder_replaces_only_itself(bundle: Bundle, folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    layout = folder.name.removeprefix("tiny-")
    write_layout(bundle.path, layout)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"holds notes.txt, which is not as it was written"):
        write_layout(bundle.path, layout)
    (folder / "notes.txt").unlink()
    with pytest.raises(ExportError, match="exists and is not a bundle or layout of ours"):
        write_layout(bundle.path, layout, bundle.path)
    (folder / "config.json").write_text("mine")
    with pytest.raises(ExportError, match=r"holds config.json, which is not as it was written"):
        write_layout(bundle.path, layout)
    (folder / "config.json").write_bytes(before["config.json"])


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_a_users_folder_with_the_names_of_a_layout_is_refused(
    bundle: Bundle, tmp_path: Path, layout: str
) -> None:
    for name in ("config.json", "model.onnx"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(ExportError, match=r"no sewd-layout\.json that names its files"):
        write_layout(bundle.path, layout, tmp_path)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"mine"}


def test_what_cannot_be_written(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"'sherpa'; choose from onnx-asr, optimum"):
        write_layout(bundle.path, "sherpa")
    with pytest.raises(ExportError, match="its task is classification"):
        write_layout(DATA / "tiny-classifier", "optimum", tmp_path / "out")
    broken = Path(shutil.copytree(bundle.path, tmp_path / "broken"))
    (broken / "model.fp32.onnx").write_bytes(b"")
    with pytest.raises(BundleError):
        write_layout(broken, "optimum")
    assert not (tmp_path / "broken-optimum").exists()


def test_a_model_with_external_data_is_in_no_layout(bundle: Bundle, tmp_path: Path) -> None:
    from sewd_export.layouts.ort_format import write_ort

    source = Path(shutil.copytree(bundle.path, tmp_path / "external"))
    file = source / "model.fp32.onnx"
    model = onnx.load(file)
    onnx.external_data_helper.convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    onnx.save(model, file)
    content = json.loads((source / "bundle.json").read_text())
    content["files"][file.name] = {"size_bytes": file.stat().st_size, "sha256": sha256_of(file)}
    (source / "bundle.json").write_text(json.dumps(content))
    for layout in LAYOUTS:
        with pytest.raises(ModelError, match="no hash covers"):
            write_layout(source, layout)
    with pytest.raises(BundleError, match="no hash covers"):
        write_ort(source)
    assert [path.name for path in tmp_path.iterdir()] == ["external"]


def test_a_token_with_a_space_is_refused(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bundle, "read_text", lambda self, name: json.dumps({"<pad>": 0, "a b": 1}))
    with pytest.raises(ExportError, match="'a b' has a space"):
        write_layout(bundle.path, "onnx-asr")


def test_the_command_converts_a_bundle(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--bundle", str(bundle.path), "--layout", "onnx-asr", "--layout", "optimum"]
    assert cli.main(command) == 0
    folders = [f"{bundle.path}-onnx-asr", f"{bundle.path}-optimum"]
    assert capsys.readouterr().out.splitlines() == folders
    assert cli.main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] == folders


@pytest.mark.parametrize(
    "arguments",
    [
        ["--bundle", "b"],
        ["--bundle", "b", "--layout", "optimum", "--int8"],
        ["--bundle", "b", "--layout", "optimum", "checkpoint"],
        ["--verify", "b", "--layout", "optimum"],
        ["--layout", "sherpa"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
