"""Measure the ranges of a model's values on recordings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.constants import initializer
from sewd_export.errors import ExportError
from sewd_export.parity.signals import read_recordings

if TYPE_CHECKING:
    from sewd_export.precisions import Ranges

_MAX_PIECE_S = 30


def read_calibration(
    folder: Path, *, sample_rate_hz: int, min_samples: int
) -> tuple[NDArray[np.float32], ...]:
    """Return the recordings in a folder in pieces of at most half a minute, each `(samples,)` float32.

    Raises ExportError: no recordings, one that cannot be read, or all are too short for the model.
    """
    recordings = read_recordings(folder, sample_rate_hz)
    max_samples = max(_MAX_PIECE_S * sample_rate_hz, min_samples)
    pieces = tuple(
        signal.samples[start : start + max_samples]
        for signal in recordings
        for start in range(0, len(signal.samples) - min_samples + 1, max_samples)
    )
    if not pieces:
        raise ExportError(f"{folder}: every recording is shorter than {min_samples} samples; add longer ones")
    return pieces


def measure_ranges(
    model: ir.Model, names: Collection[str], recordings: Sequence[NDArray[np.float32]]
) -> Ranges:
    """Return the largest magnitude of each channel, `(channels,)` float32, of the named values.

    model: float32, left unchanged; it runs in onnxruntime, one recording at a time.
    """
    import onnxruntime

    watched = model.clone()
    outputs = _watch(watched, names)
    session = onnxruntime.InferenceSession(
        ir.to_proto(watched).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    ranges: dict[str, NDArray[np.float32]] = {}
    for samples in recordings:
        feed = {"input_values": samples[None], "input_lengths": np.array([len(samples)])}
        for name, peaks in zip(outputs, session.run(list(outputs.values()), feed), strict=True):
            ranges[name] = np.maximum(ranges.get(name, 0), peaks)
    return ranges


def _watch(model: ir.Model, names: Collection[str]) -> dict[str, str]:
    """Add a graph output for the largest magnitude per channel of each named value; return value → output."""
    values = [value for node in model.graph for value in node.outputs if value.name in names]
    axes = initializer(model.graph, "all but channels", np.array([0, 1]))
    outputs = {}
    for value in values:
        magnitude = ir.node("Abs", [value])
        peak = ir.node("ReduceMax", [magnitude.outputs[0], axes], {"keepdims": 0})
        peak.outputs[0].name = outputs[str(value.name)] = f"range of {value.name}"
        peak.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
        model.graph.extend([magnitude, peak])
        model.graph.outputs.append(peak.outputs[0])
    return outputs
