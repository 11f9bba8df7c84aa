"""Int8 matmuls with constant scales, in standard operators that inference libraries fuse."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.precisions.int8_weights import (
    LEVELS,
    SMALLEST,
    content_of,
    gains,
    quantize_columns,
    source_of,
)
from sewd_export.precisions.node_writer import NodeWriter
from sewd_export.precisions.roles import activation_of, exposed_matmuls, unbounded_values

if TYPE_CHECKING:
    from sewd_export.precisions import Ranges

_BELOW = 19  # levels below zero of an input that hardly goes there: Gelu's minimum is -0.17
_ABOVE = 2 * (LEVELS - _BELOW)  # levels above zero, which is a level itself
_ONE_SIDED = frozenset({"Gelu", "Relu"})
_SHARE = 0.85  # exponent: how much of a channel's range goes into the weights; 1 makes all channels alike
_MIN_RANGE = 1e-3  # of the widest range: a channel silent in the calibration may be active later


@dataclass(frozen=True, slots=True)
class _Input:
    """A rounded input of matmuls: float values that are whole numbers of steps.

    channels: the divisor of each channel, `(channels,)`, to be multiplied into the weights.
    scale: of each row, to be multiplied after the matmul. offset: subtracted before rounding.
    """

    values: ir.Value
    channels: NDArray[np.float32] | None = None
    scale: ir.Value | None = None
    offset: float = 0.0


class QuantizeWithConstants(ir.passes.InPlacePass):
    """`MatMul(x, W)` → `MatMul(DQ(Q(x / s)), DQ(W8)) · s`, with s the largest magnitude of each row of x.

    x / s is in [-1, 1], so its scale is a constant that needs no calibration: 1/127. Zero points are 0, which
    TensorRT requires.

    The output of Gelu or Relu after a norm hardly goes below zero: there x / s - 1/2 is rounded, and half of
    each column's sum added after the matmul, which gives 216 levels above zero instead of 127. Not before the
    first norm, where a quiet row has as much below zero as above.

    An input named in `ranges` has no s: each channel is multiplied by a constant and the rows of W divided by
    it, so that the channels' ranges become similar (SmoothQuant, Xiao et al. 2022).

    Fires if W is a constant matrix. Declines matmuls named in `keep`, those too shallow to gain, and those
    with no norm after them. Matmuls of one input share its rounded values.
    """

    def __init__(self, *, keep: Collection[str] = (), ranges: Ranges | None = None) -> None:
        self._keep = frozenset(keep)
        self._ranges: Ranges = ranges or {}

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite the matmuls in place; the float weights are left to dead code elimination."""
        matmuls = self.matmuls(model)
        rounder = _Rounder(model.graph, matmuls, self._ranges)
        for node in matmuls:
            rounder.rewrite(node)
        return ir.passes.PassResult(model, modified=bool(matmuls))

    def matmuls(self, model: ir.Model) -> list[ir.Node]:
        """Return the matmuls that `call` rewrites."""
        exposed = exposed_matmuls(model.graph)
        nodes = [node for node in model.graph if node not in exposed and node.name not in self._keep]
        return [node for node in nodes if gains(node)]


def calibrated_inputs(model: ir.Model) -> list[ir.Value]:
    """Return the inputs of matmuls whose ranges are worth measuring: those straight from a norm.

    In other inputs a row may be much quieter than the loudest, or unbounded.
    """
    matmuls = QuantizeWithConstants().matmuls(model)
    inputs = dict.fromkeys(value for node in matmuls if (value := node.inputs[0]) is not None)
    return [value for value in inputs if _is_normalised(value)]


def _is_normalised(value: ir.Value) -> bool:
    node = value.producer()
    return node is not None and node.op_type == "LayerNormalization"


def even_out(peaks: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the divisor of each channel that brings the input into [-1, 1]: `(channels,)` float32.

    peaks: the largest magnitude of each channel; weight: `(channels, out)`.
    `_SHARE` of a channel's range goes into the weights, where it costs the other channels precision, the more
    the larger its weights are.
    """
    peaks = np.maximum(peaks, max(_MIN_RANGE * float(peaks.max()), SMALLEST))
    size = np.abs(weight).max(-1)
    size = np.maximum(size, max(_MIN_RANGE * float(size.max()), SMALLEST))
    shares = peaks**_SHARE / size ** (1 - _SHARE)
    return np.asarray(shares * (peaks / shares).max(), dtype=np.float32)


class _Rounder:
    """Writes the nodes that replace matmuls, and the rounded inputs that several of them share."""

    def __init__(self, graph: ir.Graph, matmuls: Collection[ir.Node], ranges: Ranges) -> None:
        self._nodes = NodeWriter(graph)
        self._matmuls, self._ranges = matmuls, ranges
        self._unbounded = unbounded_values(graph)
        self._inputs: dict[ir.Value, _Input] = {}

    def rewrite(self, matmul: ir.Node) -> None:
        """Replace a float matmul by a quantized one."""
        x, weight = matmul.inputs
        assert x is not None and weight is not None
        if x not in self._inputs:
            self._inputs[x] = self._round(matmul, x)
        rounded = self._inputs[x]
        columns, sums = self._round_weight(matmul, weight, rounded.channels)
        result = self._nodes.add(matmul, "product", "MatMul", [rounded.values, columns])
        if rounded.offset:
            offset = self._nodes.constant(f"{weight.name}/offset", rounded.offset * sums)
            result = self._nodes.add(matmul, "shifted", "Add", [result, offset])
        if rounded.scale is not None:
            result = self._nodes.add(matmul, "result", "Mul", [result, rounded.scale])
        self._nodes.replace(matmul, result)

    def _round_weight(
        self, matmul: ir.Node, weight: ir.Value, channels: NDArray[np.float32] | None
    ) -> tuple[ir.Value, NDArray[np.float32]]:
        """Return a rounded weight and the sums of its columns.

        A table has one scale: OpenVINO has int8 matmuls for scales per column, but those would have to be
        sliced with the columns at run time, and TensorRT expects constants.
        """
        source, cut = source_of(weight)
        content = content_of(weight)
        if channels is not None:
            content = content * channels[:, None]
        if content.ndim == 2 and cut is None:
            columns, scale = quantize_columns(content)
            scales, attributes = scale[0], {"axis": 1}
        else:
            columns, scale = quantize_columns(content.reshape(-1, 1))
            columns, scales, attributes = columns.reshape(content.shape), scale[0, 0], {}
        parts = [
            self._nodes.constant(f"{source.name}/columns", columns),
            self._nodes.constant(f"{source.name}/column_scale", scales),
            # onnxruntime's x64quantprecision makes weights unsigned; it fails without zero points, and if
            # matmuls share them.
            self._nodes.constant(f"{source.name}/column_zero", np.zeros(scales.shape, np.int8)),
        ]
        rounded = self._nodes.add(matmul, "columns", "DequantizeLinear", parts, attributes)
        if cut is not None:
            rounded = self._nodes.add(matmul, "cut", "Slice", [rounded, *cut.inputs[1:]])
        return rounded, np.asarray((columns * scale).sum(0), dtype=np.float32)

    def _round(self, matmul: ir.Node, x: ir.Value) -> _Input:
        """Round an input in front of the first matmul that reads it."""
        if str(x.name) in self._ranges:
            return self._round_channels(matmul, x)
        activation = activation_of(x)
        if activation is not None and activation.op_type in _ONE_SIDED and x not in self._unbounded:
            return self._round_one_sided(matmul, x)
        return self._round_rows(matmul, x)

    def _round_channels(self, matmul: ir.Node, x: ir.Value) -> _Input:
        """Round an input with measured ranges."""
        readers = [node.inputs[1] for node in self._matmuls if node.inputs[:1] == (x,)]
        matrices = [content_of(weight) for weight in readers if weight is not None]
        channels = even_out(self._ranges[str(x.name)], np.concatenate(matrices, axis=1))
        factors = self._nodes.constant(f"{x.name}/factors", 1 / channels)
        even = self._nodes.add(matmul, "even", "Mul", [x, factors])
        return _Input(self._quantize(matmul, even, LEVELS), channels=channels)

    def _round_rows(self, matmul: ir.Node, x: ir.Value) -> _Input:
        """Round rows that reach as far below zero as above."""
        size = self._nodes.add(matmul, "size", "Abs", [x])
        scale = self._above_zero(matmul, self._peak(matmul, "peak", "ReduceMax", size))
        unit = self._nodes.add(matmul, "unit", "Div", [x, scale])
        return _Input(self._quantize(matmul, unit, LEVELS), scale=scale)

    def _round_one_sided(self, matmul: ir.Node, x: ir.Value) -> _Input:
        """Round rows that hardly reach below zero."""
        peak = self._peak(matmul, "peak", "ReduceMax", x)
        trough = self._peak(matmul, "trough", "ReduceMin", x)
        ratio = self._nodes.constant("int8/above_to_below", np.array(-_ABOVE / _BELOW, np.float32))
        below = self._nodes.add(matmul, "below", "Mul", [trough, ratio])
        scale = self._above_zero(matmul, self._nodes.add(matmul, "span", "Max", [peak, below]))
        unit = self._nodes.add(matmul, "unit", "Div", [x, scale])
        half = self._nodes.constant("int8/half", np.array(0.5, np.float32))
        centred = self._nodes.add(matmul, "centred", "Sub", [unit, half])
        return _Input(self._quantize(matmul, centred, _ABOVE), scale=scale, offset=0.5)

    def _peak(self, matmul: ir.Node, purpose: str, op_type: str, x: ir.Value) -> ir.Value:
        last = self._nodes.constant("int8/last_axis", np.array([-1]))
        return self._nodes.add(matmul, purpose, op_type, [x, last], {"keepdims": 1})

    def _above_zero(self, matmul: ir.Node, peak: ir.Value) -> ir.Value:
        smallest = self._nodes.constant("int8/smallest", np.array(SMALLEST, np.float32))
        return self._nodes.add(matmul, "scale", "Add", [peak, smallest])

    def _quantize(self, matmul: ir.Node, x: ir.Value, steps: int) -> ir.Value:
        """Round to int8, with this many steps from 0 to 1."""
        step = self._nodes.constant(f"int8/one_of_{steps}", np.array(1 / steps, np.float32))
        zero = self._nodes.constant("int8/zero", np.array(0, np.int8))
        values = self._nodes.add(matmul, "quantized", "QuantizeLinear", [x, step, zero])
        return self._nodes.add(matmul, "rounded", "DequantizeLinear", [values, step, zero])
