"""What the exporter's tests share: the small checkpoints, and one export of each task on a short grid."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from safetensors.torch import load_file, save_file

from sewd_export import Exported, conversion, export, exporter
from sewd_export.checkpoint.loading import load_checkpoint
from sewd_export.families import build_module
from sewd_export.parity import reference
from sewd_export.parity.signals import Signal, signals
from sewd_export.precisions.attempts import Attempts
from sewd_export.tracing import trace
from sewd_runtime.inference.session import pad

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="session", autouse=True)
def _short_grid(one_thread: None) -> Iterator[None]:
    """Leave out the long recordings: the laws of the grid are tested on the whole grid."""

    def short(geometry: Any, *, sample_rate_hz: int, audio: Path | None = None) -> list[Signal]:
        found = signals(geometry, sample_rate_hz=sample_rate_hz, audio=audio)
        return [signal for signal in found if len(signal.samples) < 9 * sample_rate_hz]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "signals", short)
        yield


@pytest.fixture(scope="session")
def tiny() -> Path:
    """A CTC checkpoint with random weights."""
    return DATA / "checkpoint-tiny"


@pytest.fixture
def checkpoint(tiny: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(tiny, tmp_path / "tiny"))


@pytest.fixture(scope="session")
def exported(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The CTC checkpoint, exported."""
    return export(tiny, tmp_path_factory.mktemp("ctc") / "bundle")


@pytest.fixture
def bundle(exported: Exported, tmp_path: Path) -> Path:
    """A copy of the bundle, to be changed or replaced."""
    return Path(shutil.copytree(exported.path, tmp_path / "bundle"))


@pytest.fixture(scope="session")
def exported_classifier(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A classifier for 8 kHz, from a checkpoint named by a relative path."""
    folder = tmp_path_factory.mktemp("classifier")
    checkpoint = Path(shutil.copytree(DATA / "checkpoint-tiny-classifier", folder / "my.model"))
    (checkpoint / "preprocessor_config.json").write_text('{"sampling_rate": 8000, "do_normalize": true}')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        found = export("my.model/")
    return Exported(path=folder / found.path, manifest=found.manifest, reports=found.reports)


@pytest.fixture(scope="session")
def encoder(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CTC checkpoint without its head, its tokenizer and its preprocessor's configuration."""
    folder = tmp_path_factory.mktemp("encoder") / "base"
    folder.mkdir()
    weights = load_file(tiny / "model.safetensors")
    body = {name: tensor for name, tensor in weights.items() if name.startswith("sew_d.")}
    save_file(body, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((tiny / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["SEWDModel"]}))
    return folder


@pytest.fixture(scope="session")
def exported_encoder(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The encoder, exported."""
    return export(encoder, tmp_path_factory.mktemp("encoding") / "bundle")


@pytest.fixture(scope="session")
def exported_half(exported: Exported, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The CTC checkpoint in float16 and calibrated 8 bits as well, from the graph that was traced before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporter, "trace", lambda *_, **__: ir.load(exported.path / "model.fp32.onnx"))
        return export(
            tiny,
            tmp_path_factory.mktemp("half") / "bundle",
            precisions=("fp16", "int8-static"),
            calibrate=DATA.parents[1] / "export/sewd_export/speech",
        )


@pytest.fixture
def without_trace(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let exports of the CTC checkpoint take its model as it was traced before."""

    def write_models(_: Any, folder: Path, attempts: Attempts, **__: Any) -> tuple[Any, None]:
        entries, precisions = exported.manifest.precisions, attempts.good
        for name in precisions:
            shutil.copy(exported.path / entries[name].file, folder)
        opsets = {
            name: {"": entries[name].opset, **dict.fromkeys(entries[name].domains, 1)} for name in precisions
        }
        return opsets, None

    monkeypatch.setattr(conversion, "write_models", write_models)


@pytest.fixture(scope="session")
def traced(tiny: Path) -> ir.Model:
    """The CTC checkpoint as torch traces it."""
    checkpoint = load_checkpoint(tiny)
    shape = checkpoint.geometry
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        model = trace(build_module(checkpoint), receptive_field=shape.receptive_field)
    assert not said.getvalue()  # torch prints the whole module where its first way to capture it fails
    return model


@pytest.fixture(scope="session")
def ragged() -> dict[str, Any]:
    random = np.random.default_rng(4)
    lengths = (80, 81, 159, 160, 4001, 1777)
    values, counts = pad([0.3 * random.standard_normal(n).astype(np.float32) for n in lengths])
    return {"input_values": values, "input_lengths": counts}
