"""Matrix products in 8 bits, each row of their input with a scale of its own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.precisions.node_writer import NodeWriter
from sewd_export.precisions.roles import activation_of, output_products, unbounded

_OPSET = 21  # the first whose QuantizeLinear takes a scale for each block
LEVELS = 127
_STEPS = 255  # of an input, uint8: int8 has no fast kernel on x86-64
_MIDDLE = 128  # the zero point of what reaches as far below zero as above
_LOW = 64  # of what comes out of an activation, in front of the first norm: there it may be quiet
_LOWEST = 32  # of what comes out of an activation behind a norm
_TROUGHS = {"Gelu": 0.1701, "Relu": 0.0}  # how far below zero an activation reaches
_TWO_SIDED = frozenset({"Tanh"})  # activations
_ENDLESS = 3e38
SMALLEST = 1e-20  # the least scale, so that a row of zeros has one
_MIN_DEPTH = 32  # a shallower product is all input and output: nothing to gain


@dataclass(frozen=True, slots=True)
class _Rows:
    """A quantized input: `values` uint8, the scale of each row, its last axis 1, the zero point of all."""

    values: ir.Value
    scale: ir.Value
    zero_point: ir.Value


class QuantizeRows(ir.passes.InPlacePass):
    """`MatMul(x, W)` → `MatMulIntegerToFloat(QuantizeLinear(x, s), W8) · s`, s for each row of x.

    s·((x / s)·W) is x·W, so only the rounding of x and W to 8 bits is lost; W has a scale for each column.
    One scale for the whole of x would round away the quiet frames, which the layer norm after the features
    makes as loud as the others. A row depends on nothing but itself: a batch still equals its items.

    What comes out of an activation hardly goes below zero: there the zero point, which the operator takes
    for all rows, is a lower one than the middle, and s the least that leaves room for the row on both sides
    of it. Behind a norm a row reaches above zero so far that how far the activation goes below is all there
    is to know of that side.

    Fires where W is constant, or a constant's columns cut out by a Slice. Declines products that are named in
    `keep`, those too shallow to gain, and the one that makes the output: its rounding would go straight into
    the logits, and it is a thousandth of the work. Products of one input share its quantized rows. The graph
    is sorted.
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


class _Writer:
    """The nodes that take a product's place, and the rows that several products share."""

    def __init__(self, graph: ir.Graph) -> None:
        self._nodes = NodeWriter(graph)
        self._add, self._constant = self._nodes.add, self._nodes.constant
        self._unbounded = unbounded(graph)
        self._rows: dict[ir.Value, _Rows] = {}
        self._last = self._constant("int8/last_axis", np.array([-1]))

    def rewrite(self, product: ir.Node) -> None:
        """Put the quantized product in the place of a float one."""
        x, weight = product.inputs
        assert x is not None and weight is not None
        if x not in self._rows:
            self._rows[x] = self._quantize(product, x, content_of(weight).shape[-2])
        rows = self._rows[x]
        columns, scale = self._columns(product, weight)
        inputs = [rows.values, columns, self._number(1), scale, rows.zero_point]
        whole = self._add(product, "product", "MatMulIntegerToFloat", inputs, domain="com.microsoft")
        self._nodes.replace(product, self._add(product, "result", "Mul", [whole, rows.scale]))

    def _quantize(self, product: ir.Node, x: ir.Value, depth: int) -> _Rows:
        """Quantize rows in front of the first product to read them."""
        zero, trough = self._below_zero(x)
        bounds = [self._bound(product, "peak", "ReduceMax", x, 1 / (_STEPS - zero))]
        if trough is None:
            bounds += [self._bound(product, "trough", "ReduceMin", x, -1 / zero), self._number(SMALLEST)]
        else:
            bounds.append(self._number(max(trough / zero, SMALLEST)))
        scales = self._add(product, "scales", "Max", bounds)
        scale = self._add(product, "row_scale", "Unsqueeze", [scales, self._last])
        zero_point = self._constant(f"int8/zero_{zero}", np.array(zero, np.uint8))
        # the zero point once for each row, in one node: whatever the scale, it is nothing beside this
        nothing = [scale, self._number(_ENDLESS), zero_point]
        zero_points = self._add(product, "zero_points", "QuantizeLinear", nothing)
        block = {"axis": -1, "block_size": depth}
        rows = self._add(product, "rows", "QuantizeLinear", [x, scale, zero_points], block)
        return _Rows(rows, scale, zero_point)

    def _below_zero(self, x: ir.Value) -> tuple[int, float | None]:
        """Return the zero point of an input, and how far below zero it reaches where that is known."""
        activation = activation_of(x)
        if activation is None or activation.op_type in _TWO_SIDED:
            return _MIDDLE, None
        trough = _TROUGHS.get(activation.op_type)
        return (_LOW, None) if trough is None or x in self._unbounded else (_LOWEST, trough)

    def _bound(self, product: ir.Node, purpose: str, op_type: str, x: ir.Value, factor: float) -> ir.Value:
        """Return the least scale with room for one end of each row: x without its last axis.

        A last axis of 1 would make onnxruntime multiply row by row, 20 times as long.
        """
        end = self._add(product, purpose, op_type, [x, self._last], {"keepdims": 0})
        return self._add(product, f"{purpose}_scale", "Mul", [end, self._number(factor)])

    def _number(self, content: float) -> ir.Value:
        return self._constant(f"int8/{content:.4g}", np.array(content, np.float32))

    def _columns(self, product: ir.Node, weight: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return the quantized weight and the scale of its columns, both cut as it is."""
        source, cut = source_of(weight)
        values, scale = quantize_columns(content_of(weight))
        if values.ndim == 2:
            scale = scale[0]
        columns = self._constant(f"{source.name}/columns", values)
        scales = self._constant(f"{source.name}/column_scale", scale)
        if cut is not None:
            columns = self._add(product, "columns", "Slice", [columns, *cut.inputs[1:]])
            scales = self._add(product, "column_scale", "Slice", [scales, *cut.inputs[1:]])
        return columns, scales
