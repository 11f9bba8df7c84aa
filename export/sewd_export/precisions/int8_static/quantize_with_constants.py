"""Matrix products in 8 bits whose scales are constants: standard operators that engines fuse."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.precisions.int8.quantize_rows import (
    LEVELS,
    SMALLEST,
    content_of,
    gains,
    quantize_columns,
    source_of,
)
from sewd_export.precisions.node_writer import NodeWriter
from sewd_export.precisions.roles import activation_of, exposed_products, unbounded

_BELOW = 19  # levels below zero of an input that hardly goes there: Gelu reaches down to -0.17
_ABOVE = 2 * (LEVELS - _BELOW)  # levels above zero, which is a level itself
_ONE_SIDED = frozenset({"Gelu", "Relu"})
_SHARE = 0.85  # of a channel's range that goes into the weights, in the exponent; 1 leaves the input even
_RAREST = 1e-3  # of the widest range: a channel that was silent in the calibration may speak later

Ranges = Mapping[str, NDArray[np.float32]]
"""Of values by name: the largest magnitude of each channel, `(channels,)` float32."""


@dataclass(frozen=True, slots=True)
class _Input:
    """A rounded input of products: float values that are whole numbers of steps.

    channels: what each channel was divided by, `(channels,)`, which belongs into the weights.
    scale: of each row, which belongs behind the product. offset: what was taken away before the rounding.
    """

    values: ir.Value
    channels: NDArray[np.float32] | None = None
    scale: ir.Value | None = None
    offset: float = 0.0


class QuantizeWithConstants(ir.passes.InPlacePass):
    """`MatMul(x, W)` → `MatMul(DQ(Q(x / s)), DQ(W8)) · s`, s the largest magnitude of each row of x.

    x / s lies in [-1, 1], so its scale is a constant that needs no calibration: 1/127. Zero points are 0, as
    TensorRT demands.

    What comes out of Gelu or Relu behind a norm hardly goes below zero: there x / s - 1/2 is rounded, and
    half of each column's sum added to the product: 216 levels above zero in place of 127. Not so in front of
    the first norm, where a quiet row has as much below zero as above.

    An input that `ranges` names has no s: each channel is multiplied by a constant, and the rows of W divided
    by it, so that all ranges become alike (SmoothQuant, Xiao et al. 2022).

    Fires where W is a constant matrix. Declines products that are named in `keep`, those too shallow to gain,
    and those with no norm behind them. Products of one input share its rounded values.
    """

    def __init__(self, *, keep: Collection[str] = (), ranges: Ranges | None = None) -> None:
        self._keep = frozenset(keep)
        self._ranges: Ranges = ranges or {}

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite the products in place; the float weights are left to dead code elimination."""
        products = self.products(model)
        writer = _Writer(model.graph, products, self._ranges)
        for node in products:
            writer.rewrite(node)
        return ir.passes.PassResult(model, modified=bool(products))

    def products(self, model: ir.Model) -> list[ir.Node]:
        """Return the products that `call` rewrites."""
        exposed = exposed_products(model.graph)
        nodes = [node for node in model.graph if node not in exposed and node.name not in self._keep]
        return [node for node in nodes if gains(node)]


def calibrated_inputs(model: ir.Model) -> list[ir.Value]:
    """Return the inputs of products whose ranges are worth measuring: what comes straight out of a norm.

    A row of others may be much quieter than the loudest, or is bounded by nothing.
    """
    products = QuantizeWithConstants().products(model)
    found = dict.fromkeys(value for node in products if (value := node.inputs[0]) is not None)
    return [value for value in found if _is_normalised(value)]


def _is_normalised(value: ir.Value) -> bool:
    node = value.producer()
    return node is not None and node.op_type == "LayerNormalization"


def even_out(peaks: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what to divide each channel by, so that the input lies in [-1, 1]: `(channels,)` float32.

    peaks: the largest magnitude of each channel; weight: `(channels, out)`.

    A channel's range goes into the weights as far as `_SHARE` says; there it costs the other channels'
    precision, the more the larger its weights.
    """
    peaks = np.maximum(peaks, max(_RAREST * float(peaks.max()), SMALLEST))
    size = np.abs(weight).max(-1)
    size = np.maximum(size, max(_RAREST * float(size.max()), SMALLEST))
    shares = peaks**_SHARE / size ** (1 - _SHARE)
    return np.asarray(shares * (peaks / shares).max(), dtype=np.float32)


class _Writer:
    """The nodes that take a product's place, and the rounded inputs that several products share."""

    def __init__(self, graph: ir.Graph, products: Collection[ir.Node], ranges: Ranges) -> None:
        self._nodes = NodeWriter(graph)
        self._products, self._ranges = products, ranges
        self._unbounded = unbounded(graph)
        self._inputs: dict[ir.Value, _Input] = {}

    def rewrite(self, product: ir.Node) -> None:
        """Put the quantized product in the place of a float one."""
        x, weight = product.inputs
        assert x is not None and weight is not None
        if x not in self._inputs:
            self._inputs[x] = self._round(product, x)
        found = self._inputs[x]
        rounded, sums = self._round_weight(product, weight, found.channels)
        result = self._nodes.add(product, "product", "MatMul", [found.values, rounded])
        if found.offset:
            offset = self._nodes.constant(f"{weight.name}/offset", found.offset * sums)
            result = self._nodes.add(product, "shifted", "Add", [result, offset])
        if found.scale is not None:
            result = self._nodes.add(product, "result", "Mul", [result, found.scale])
        self._nodes.replace(product, result)

    def _round_weight(
        self, product: ir.Node, weight: ir.Value, channels: NDArray[np.float32] | None
    ) -> tuple[ir.Value, NDArray[np.float32]]:
        """Return a rounded weight and the sums of its columns.

        A table has one scale for all: OpenVINO multiplies in 8 bits only where the scales are of columns, and
        those would have to be cut out with the columns while it runs, where TensorRT expects constants.
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
            # Where onnxruntime makes weights unsigned (x64quantprecision), it fails without zero points, and
            # where products share them.
            self._nodes.constant(f"{source.name}/column_zero", np.zeros(scales.shape, np.int8)),
        ]
        rounded = self._nodes.add(product, "columns", "DequantizeLinear", parts, attributes)
        if cut is not None:
            rounded = self._nodes.add(product, "cut", "Slice", [rounded, *cut.inputs[1:]])
        return rounded, np.asarray((columns * scale).sum(0), dtype=np.float32)

    def _round(self, product: ir.Node, x: ir.Value) -> _Input:
        """Round an input in front of the first product to read it."""
        if str(x.name) in self._ranges:
            return self._round_channels(product, x)
        activation = activation_of(x)
        if activation is not None and activation.op_type in _ONE_SIDED and x not in self._unbounded:
            return self._round_one_sided(product, x)
        return self._round_rows(product, x)

    def _round_channels(self, product: ir.Node, x: ir.Value) -> _Input:
        """Round an input whose channels have measured ranges."""
        readers = [node.inputs[1] for node in self._products if node.inputs[:1] == (x,)]
        matrices = [content_of(weight) for weight in readers if weight is not None]
        channels = even_out(self._ranges[str(x.name)], np.concatenate(matrices, axis=1))
        factors = self._nodes.constant(f"{x.name}/factors", 1 / channels)
        even = self._nodes.add(product, "even", "Mul", [x, factors])
        return _Input(self._quantize(product, even, LEVELS), channels=channels)

    def _round_rows(self, product: ir.Node, x: ir.Value) -> _Input:
        """Round rows that reach as far below zero as above."""
        size = self._nodes.add(product, "size", "Abs", [x])
        scale = self._above_zero(product, self._peak(product, "peak", "ReduceMax", size))
        unit = self._nodes.add(product, "unit", "Div", [x, scale])
        return _Input(self._quantize(product, unit, LEVELS), scale=scale)

    def _round_one_sided(self, product: ir.Node, x: ir.Value) -> _Input:
        """Round rows that hardly reach below zero."""
        peak = self._peak(product, "peak", "ReduceMax", x)
        trough = self._peak(product, "trough", "ReduceMin", x)
        ratio = self._nodes.constant("int8/above_to_below", np.array(-_ABOVE / _BELOW, np.float32))
        below = self._nodes.add(product, "below", "Mul", [trough, ratio])
        scale = self._above_zero(product, self._nodes.add(product, "span", "Max", [peak, below]))
        unit = self._nodes.add(product, "unit", "Div", [x, scale])
        half = self._nodes.constant("int8/half", np.array(0.5, np.float32))
        centred = self._nodes.add(product, "centred", "Sub", [unit, half])
        return _Input(self._quantize(product, centred, _ABOVE), scale=scale, offset=0.5)

    def _peak(self, product: ir.Node, purpose: str, op_type: str, x: ir.Value) -> ir.Value:
        last = self._nodes.constant("int8/last_axis", np.array([-1]))
        return self._nodes.add(product, purpose, op_type, [x, last], {"keepdims": 1})

    def _above_zero(self, product: ir.Node, peak: ir.Value) -> ir.Value:
        smallest = self._nodes.constant("int8/smallest", np.array(SMALLEST, np.float32))
        return self._nodes.add(product, "scale", "Add", [peak, smallest])

    def _quantize(self, product: ir.Node, x: ir.Value, steps: int) -> ir.Value:
        """Round to so many steps between 0 and 1, int8."""
        step = self._nodes.constant(f"int8/one_of_{steps}", np.array(1 / steps, np.float32))
        zero = self._nodes.constant("int8/zero", np.array(0, np.int8))
        values = self._nodes.add(product, "quantized", "QuantizeLinear", [x, step, zero])
        return self._nodes.add(product, "rounded", "DequantizeLinear", [values, step, zero])
