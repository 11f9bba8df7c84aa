"""Ranges of a model's values, measured on recordings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.errors import ExportError
from sewd_export.parity.signals import read_recordings

if TYPE_CHECKING:
    from sewd_export.precisions.int8_static.quantize_with_constants import Ranges

_LONGEST_S = 30
_PREFIX = "range of "


def read_calibration(
    folder: Path, *, sample_rate_hz: int, min_samples: int
) -> tuple[NDArray[np.float32], ...]:
    """Return the recordings in a folder, cut into pieces of at most half a minute, each `(samples,)` float32.

    Raises ExportError: there is none, one cannot be read, or all are too short for the model.
    """
    recordings = read_recordings(folder, sample_rate_hz)
    longest = max(_LONGEST_S * sample_rate_hz, min_samples)
    pieces = tuple(
        signal.samples[start : start + longest]
        for signal in recordings
        for start in range(0, len(signal.samples) - min_samples + 1, longest)
    )
    if not pieces:
        raise ExportError(
            f"{folder}: every recording is shorter than {min_samples} samples; calibrate with longer ones"
        )
    return pieces


def measure_ranges(model: ir.Model, recordings: Sequence[NDArray[np.float32]]) -> Ranges:
    """Return the largest magnitude of each channel of the inputs that `int8-static` asks for.

    model: float32, left as it is; it runs in onnxruntime, one recording at a time.
    """
    from sewd_export.precisions.int8_static.quantize_with_constants import calibrated_inputs

    watched = model.clone()
    names = [str(value.name) for value in calibrated_inputs(watched)]
    _watch(watched, calibrated_inputs(watched))
    ranges: dict[str, NDArray[np.float32]] = {}
    for found in _run(watched, [_PREFIX + name for name in names], recordings):
        for name, peaks in zip(names, found, strict=True):
            ranges[name] = np.maximum(ranges.get(name, 0), peaks)
    return ranges


def _watch(model: ir.Model, values: Sequence[ir.Value]) -> None:
    """Add an output to the graph for each value: its largest magnitude in every channel."""
    axes = ir.Value(name="all but channels", const_value=ir.tensor(np.array([0, 1]), name="all but channels"))
    model.graph.register_initializer(axes)
    for value in values:
        size = ir.node("Abs", [value])
        peak = ir.node("ReduceMax", [size.outputs[0], axes], {"keepdims": 0})
        peak.outputs[0].name = f"{_PREFIX}{value.name}"
        peak.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
        model.graph.extend([size, peak])
        model.graph.outputs.append(peak.outputs[0])


def _run(
    model: ir.Model, names: Sequence[str], recordings: Sequence[NDArray[np.float32]]
) -> Iterator[list[NDArray[np.float32]]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        ir.to_proto(model).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for samples in recordings:
        feed = {"input_values": samples[None], "input_lengths": np.array([len(samples)])}
        yield session.run(names, feed)
