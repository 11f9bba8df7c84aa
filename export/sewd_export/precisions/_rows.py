"""Matrix products in 8 bits, each row of their input with a scale of its own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.precisions._kinds import activation_of, output_products
from sewd_export.precisions._nodes import NodeWriter

_OPSET = 21  # the first whose QuantizeLinear takes a scale for each block
LEVELS = 127
_STEPS = 255  # of an input, uint8: int8 has no fast kernel on x86-64
_MIDDLE = 128
_ALIGNMENT = 4  # 8-bit products are summed in fours
SMALLEST = 1e-20  # added to each peak, so that a row of zeros stays one; lost in the rounding of others
_MIN_DEPTH = 32  # a shallower product is all input and output: nothing to gain


@dataclass(frozen=True, slots=True)
class _Rows:
    """A quantized input: `values` uint8, and the scale of each row, its last axis 1.

    zero_point: of each row, its last axis 1; None where it is the middle of the range for all.
    """

    values: ir.Value
    scale: ir.Value
    zero_point: ir.Value | None


class QuantizeRows(ir.passes.InPlacePass):
    """`MatMul(x, W)` → `MatMulIntegerToFloat(QuantizeLinear(x, s), W8) · s`, s for each row of x.

    s·((x / s)·W) is x·W, so only the rounding of x and W to 8 bits is lost; W has a scale for each column.
    One scale for the whole of x would round away the quiet frames, which the layer norm after the features
    makes as loud as the others. A row depends on nothing but itself: a batch still equals its items.

    What comes out of an activation hardly goes below zero: there each row has a zero point too, which gives
    the rest of the range twice the steps. The operator takes one zero point for all rows, so each row's own
    is a few more of its inputs, see `append_zero_rows`.

    Fires where W is constant, or a constant's columns cut out by a Slice. Declines products that are named in
    `keep`, those too shallow to gain, and the one that makes the output: its rounding would go straight into
    the logits, and it is a thousandth of the work. Products of one input share its quantized rows.
    """

    def __init__(self, *, keep: Collection[str] = ()) -> None:
        self._keep = frozenset(keep)

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite the products in place; the float weights are left to dead code elimination."""
        writer = _Writer(model.graph)
        products = self.products(model)
        for node in products:
            writer.rewrite(node)
        if products:
            model.opset_imports.update({"": max(_OPSET, model.opset_imports[""]), "com.microsoft": 1})
        return ir.passes.PassResult(model, modified=bool(products))

    def products(self, model: ir.Model) -> list[ir.Node]:
        """Return the products that `call` rewrites."""
        last = output_products(model.graph)
        nodes = [node for node in model.graph if node not in last and node.name not in self._keep]
        return [node for node in nodes if gains(node)]


def gains(product: ir.Node) -> bool:
    """Tell whether a node is a product with a constant float matrix, whole or cut, deep enough to gain."""
    if product.op_type != "MatMul":
        return False
    weight = product.inputs[1]
    assert weight is not None
    tensor = source_of(weight)[0].const_value
    if tensor is None or tensor.dtype != ir.DataType.FLOAT:
        return False
    return len(tensor.shape) > 1 and content_of(weight).shape[-2] >= _MIN_DEPTH


def source_of(weight: ir.Value) -> tuple[ir.Value, ir.Node | None]:
    """Return the value a weight is cut from, and the Slice that cuts its columns where there is one."""
    cut = weight.producer()
    if cut is None or cut.op_type != "Slice" or cut.inputs[0] is None:
        return weight, None
    return cut.inputs[0], cut


def content_of(weight: ir.Value) -> NDArray[np.float32]:
    """Return the numbers of a weight, whole even where its columns are cut: `(..., in, out)` float32."""
    tensor = source_of(weight)[0].const_value
    assert tensor is not None
    return np.asarray(tensor.numpy(), dtype=np.float32)


def quantize_columns(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round `weight (..., in, out)` float32 to int8 in [-127, 127].

    Returns it and the scales of its columns, `(..., 1, out)` float32.
    """
    peak = np.abs(weight).max(-2, keepdims=True)
    scale = np.where(peak == 0, 1.0, peak / LEVELS).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale


def append_zero_rows(values: NDArray[np.int8]) -> NDArray[np.int8]:
    """Append rows that sum up to less the sum of each column: `(..., in, out)` → `(..., in + n, out)` int8.

    With a row's zero point as its last n inputs they take z·(sum of W8) away from the product, in integers,
    as a zero point of each row would; the operator takes but one for all rows.
    """
    sums = values.sum(-2, dtype=np.int64, keepdims=True)
    count = -(-int(np.abs(sums).max(initial=1)) // LEVELS)
    count = max(count + -count % _ALIGNMENT, _ALIGNMENT)
    place = np.arange(count)[:, None]
    share = (np.abs(sums) + place) // count * -np.sign(sums)
    return np.concatenate([values, share.astype(np.int8)], axis=-2)


class _Writer:
    """The nodes that take a product's place, and the rows that several products share."""

    def __init__(self, graph: ir.Graph) -> None:
        self._nodes = NodeWriter(graph)
        self._add, self._constant = self._nodes.add, self._nodes.constant
        self._rows: dict[ir.Value, _Rows] = {}
        self._last = self._constant("int8/last_axis", np.array([-1]))
        self._middle = self._constant("int8/middle", np.array(_MIDDLE, np.uint8))
        self._one = self._constant("int8/one", np.array(1, np.float32))
        self._smallest = self._constant("int8/smallest", np.array(SMALLEST, np.float32))

    def rewrite(self, product: ir.Node) -> None:
        """Put the quantized product in the place of a float one."""
        x, weight = product.inputs
        assert x is not None and weight is not None
        if x not in self._rows:
            quantize = self._quantize_one_sided if activation_of(x) is not None else self._quantize_symmetric
            self._rows[x] = quantize(product, x, content_of(weight).shape[-2])
        rows = self._rows[x]
        columns, scale, extra = self._columns(product, weight, has_zero_rows=rows.zero_point is not None)
        values: ir.Value = rows.values
        middle: ir.Value | None = self._middle
        if rows.zero_point is not None:
            repeated = self._constant(f"int8/repeat_{extra}", np.array([extra]))
            zeros = self._add(product, "zero_points", "Expand", [rows.zero_point, repeated])
            values = self._add(product, "rows_and_zeros", "Concat", [values, zeros], {"axis": -1})
            middle = None
        inputs = [values, columns, self._one, scale, middle]
        whole = self._add(product, "product", "MatMulIntegerToFloat", inputs, domain="com.microsoft")
        self._nodes.replace(product, self._add(product, "result", "Mul", [whole, rows.scale]))

    def _quantize_symmetric(self, product: ir.Node, x: ir.Value, depth: int) -> _Rows:
        """Quantize rows that reach as far below zero as above, in front of the first product to read them."""
        size = self._add(product, "size", "Abs", [x])
        peak = self._add(product, "peak", "ReduceMax", [size, self._last], {"keepdims": 1})
        scale = self._scale(product, peak, 2 / _STEPS)
        num_rows = self._add(product, "num_rows", "Shape", [scale])
        middles = self._add(product, "middles", "Expand", [self._middle, num_rows])
        block = {"axis": -1, "block_size": depth}
        return _Rows(self._add(product, "rows", "QuantizeLinear", [x, scale, middles], block), scale, None)

    def _quantize_one_sided(self, product: ir.Node, x: ir.Value, depth: int) -> _Rows:
        """Quantize rows that reach further to one side of zero, without steps for what does not occur."""
        peak = self._add(product, "max", "ReduceMax", [x, self._last], {"keepdims": 1})
        above = self._add(product, "above_zero", "Relu", [peak])
        trough = self._add(product, "min", "ReduceMin", [x, self._last], {"keepdims": 1})
        below = self._add(product, "below_zero", "Relu", [self._add(product, "negated", "Neg", [trough])])
        scale = self._scale(product, self._add(product, "span", "Add", [above, below]), 1 / _STEPS)
        single = {"axis": -1, "block_size": 1, "output_dtype": ir.DataType.UINT8}
        zero_point = self._add(product, "zero_point", "QuantizeLinear", [below, scale], single)
        block = {"axis": -1, "block_size": depth}
        values = self._add(product, "rows", "QuantizeLinear", [x, scale, zero_point], block)
        return _Rows(values, scale, zero_point)

    def _scale(self, product: ir.Node, span: ir.Value, step: float) -> ir.Value:
        factor = self._constant(f"int8/step_{step:.4g}", np.array(step, np.float32))
        steps = self._add(product, "step", "Mul", [span, factor])
        return self._add(product, "row_scale", "Add", [steps, self._smallest])

    def _columns(
        self, product: ir.Node, weight: ir.Value, *, has_zero_rows: bool
    ) -> tuple[ir.Value, ir.Value, int]:
        """Return the quantized weight, the scale of its columns, both cut as it is, and how many rows it has
        for zero points."""
        source, cut = source_of(weight)
        values, scale = quantize_columns(content_of(weight))
        extended = append_zero_rows(values) if has_zero_rows else values
        if values.ndim == 2:
            scale = scale[0]
        columns = self._constant(f"{source.name}/columns", extended)
        scales = self._constant(f"{source.name}/column_scale", scale)
        if cut is not None:
            columns = self._add(product, "columns", "Slice", [columns, *cut.inputs[1:]])
            scales = self._add(product, "column_scale", "Slice", [scales, *cut.inputs[1:]])
        return columns, scales, extended.shape[-2] - values.shape[-2]
