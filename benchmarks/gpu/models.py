"""The models to measure: checkpoints of random weights, the digits model, and their graphs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.models import MODELS, Model, write_checkpoint
from benchmarks.results import EMBEDDED
from benchmarks.speech import read_packaged

RATE_HZ = 16_000
PRECISIONS = ("fp32", "fp16", "int8-static")
PARITY_S = (0.5, 2.3, 7.7)

_SMOKE: Mapping[str, Model] = {
    "smoke": Model(
        name="smoke",
        title="a SEW-D of two narrow layers",
        config={
            **(MODELS["tiny"].config or {}),
            "num_hidden_layers": 2,
            "hidden_size": 32,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "conv_dim": (8, *(16,) * 12),
        },
    ),
    "smoke-wav2vec2": Model(
        name="smoke-wav2vec2",
        title="a wav2vec 2.0 of two narrow layers",
        kind="wav2vec2",
        config={
            "num_hidden_layers": 2,
            "hidden_size": 32,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "conv_dim": (16,) * 7,
        },
    ),
}
ALL: Mapping[str, Model] = {**MODELS, **_SMOKE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A model's folder: `checkpoint/`, and for SEW-D `model.<precision>.onnx` and `numbers.json`."""

    model: Model
    folder: Path

    @property
    def checkpoint(self) -> Path:
        """The checkpoint's folder."""
        return self.folder / "checkpoint"

    def graph(self, precision: str) -> Path:
        """The model file of a precision."""
        return self.folder / f"model.{precision}.onnx"

    @property
    def numbers(self) -> dict[str, int]:
        """`receptive_field`, `stride`, `min_samples` and `num_outputs`."""
        found: dict[str, int] = json.loads((self.folder / "numbers.json").read_text(encoding="utf-8"))
        return found


def prepare(name: str, work: Path) -> Prepared:
    """Write a checkpoint and its graphs, unless they are complete."""
    prepared = Prepared(model=ALL[name], folder=work / name)
    if not (prepared.folder / "done").exists():
        shutil.rmtree(prepared.folder, ignore_errors=True)
        prepared.folder.mkdir(parents=True)
        if prepared.model.trained:
            shutil.copytree(EMBEDDED, prepared.checkpoint)
        else:
            write_checkpoint(prepared.model, prepared.checkpoint)
        if prepared.model.kind == "sew-d":
            _write_graphs(prepared)
        (prepared.folder / "done").touch()
    return prepared


def _write_graphs(prepared: Prepared) -> None:
    """Trace once and convert to each precision; parity is measured by this benchmark, not at export."""
    import onnx_ir as ir

    from sewd_export.checkpoint.loading import load_checkpoint
    from sewd_export.families import build_module
    from sewd_export.passes import optimize
    from sewd_export.precisions import converter
    from sewd_export.tracing import trace

    source = load_checkpoint(prepared.checkpoint)
    shape = source.geometry
    numbers = {
        "receptive_field": shape.receptive_field,
        "stride": shape.stride,
        "min_samples": shape.min_samples,
        "num_outputs": source.config.vocab_size,
    }
    (prepared.folder / "numbers.json").write_text(json.dumps(numbers), encoding="utf-8")
    graph = optimize(trace(build_module(source), receptive_field=shape.receptive_field))
    for precision in PRECISIONS:
        ir.save(converter(precision, None)(graph), prepared.graph(precision))


def parity_clips() -> dict[str, NDArray[np.float32]]:
    """Return the utterances for parity: seeded noise, and the exporter's clips."""
    random = np.random.default_rng(11)
    clips: dict[str, NDArray[Any]] = {
        f"noise {seconds:g} s": 0.1 * random.standard_normal(round(seconds * RATE_HZ)) for seconds in PARITY_S
    }
    clips |= {name: samples for name, (samples, _) in sorted(read_packaged().items())}
    return {name: samples.astype(np.float32) for name, samples in clips.items()}
