"""Law: a model repository has the bundle's files and replaces only itself. tests/triton serves it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sewd_export import ExportError, cli
from sewd_export.errors import ExportWarning
from sewd_export.layouts.triton import write_triton
from tests.triton.engines import add_engine

DATA = Path(__file__).parents[2] / "data"
PRECISIONS = ("fp16", "fp32", "int8", "int8-static")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA / "tiny", tmp_path / "tiny"))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_it_has_a_model_of_speech_and_one_of_each_graph(bundle: Path, tmp_path: Path) -> None:
    repository = write_triton(bundle, tmp_path / "repository")
    models = {"tiny", *(f"tiny-{precision}" for precision in PRECISIONS)}
    assert {path.name for path in repository.iterdir()} == {*models, "sewd-layout.json"}
    assert contents(repository / "tiny/1/bundle") == contents(bundle)
    for precision in PRECISIONS:
        folder = repository / f"tiny-{precision}"
        original = (bundle / f"model.{precision}.onnx").read_bytes()
        assert (folder / "1/model.onnx").read_bytes() == original
        on_cpu = "kind: KIND_CPU" in (folder / "config.pbtxt").read_text()
        assert on_cpu == precision.startswith("int8")


def test_other_tasks_have_only_graphs(tmp_path: Path) -> None:
    repository = write_triton(DATA / "tiny-classifier", tmp_path / "repository")
    assert {path.name for path in repository.iterdir()} == {"tiny-classifier-fp32", "sewd-layout.json"}
    config = (repository / "tiny-classifier-fp32/config.pbtxt").read_text()
    num_labels = len(json.loads((DATA / "tiny-classifier/labels.json").read_text()))
    assert f'name: "class_logits" data_type: TYPE_FP32 dims: [ {num_labels} ]' in config


def test_engines_of_one_precision_are_one_model(bundle: Path, tmp_path: Path) -> None:
    add_engine(bundle, "tensorrt", "8.9", 16, 4)
    add_engine(bundle, "tensorrt", "12.0", 16, 2)
    folder = write_triton(bundle, tmp_path / "repository") / "tiny-fp32-tensorrt"
    assert contents(folder / "1") == {"sm8.9.plan": b"8.9", "sm12.0.plan": b"12.0"}
    assert (folder / "warmup/lengths").read_bytes() == (32_000).to_bytes(8, "little")
    config = (folder / "config.pbtxt").read_text()
    for expected in (
        'backend: "tensorrt"',
        "max_batch_size: 2",
        'kind: KIND_GPU profile: [ "0", "1" ]',
        'cc_model_filenames { key: "8.9" value: "sm8.9.plan" }',
        'cc_model_filenames { key: "12.0" value: "sm12.0.plan" }',
    ):
        assert expected in config


def test_engines_that_triton_cannot_run_are_left_out(bundle: Path, tmp_path: Path) -> None:
    add_engine(bundle, "tensorrt-rtx", "8.9", 8)
    with pytest.warns(ExportWarning, match=r"fp32.tensorrt-rtx.sm89 is left out: Triton runs engines of ten"):
        repository = write_triton(bundle, tmp_path / "repository")
    assert not (repository / "tiny-fp32-tensorrt").exists()


@pytest.mark.parametrize("name", ["notes.txt", "tiny/1/notes.txt", "tiny/2/model.py", "other/config.pbtxt"])
def test_it_replaces_only_itself(bundle: Path, tmp_path: Path, name: str) -> None:
    repository = write_triton(bundle, tmp_path / "repository")
    before = contents(repository)
    write_triton(bundle, repository)
    assert contents(repository) == before
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_text("mine")
    with pytest.raises(ExportError, match=r"which is not as it was written"):
        write_triton(bundle, repository)
    assert contents(repository) == {**before, name: b"mine"}


def test_a_changed_configuration_is_refused(bundle: Path, tmp_path: Path) -> None:
    repository = write_triton(bundle, tmp_path / "repository")
    config = repository / "tiny/config.pbtxt"
    config.write_text(config.read_text().replace('"fp32"', '"int8"'))
    with pytest.raises(ExportError, match=r"holds tiny/config.pbtxt, which is not as it was written"):
        write_triton(bundle, repository)


def test_a_users_repository_is_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "mine/other").mkdir(parents=True)
    (tmp_path / "mine/other/config.pbtxt").write_text("mine")
    with pytest.raises(ExportError, match=r"no sewd-layout\.json that names its files"):
        write_triton(bundle, tmp_path / "mine")


def test_the_command_writes_it(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "repository"
    assert cli.main(["--bundle", str(bundle), "--triton", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert (out / "tiny/config.pbtxt").is_file()
    with pytest.raises(SystemExit):
        cli.main(["--verify", str(bundle), "--triton", str(out)])
