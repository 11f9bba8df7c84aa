"""Matrix products in 8 bits, each row of their input with a scale of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.precisions._constants import constant

_OPSET = 21  # the first whose QuantizeLinear takes a scale for each block
_LEVELS = 127
_ZERO_POINT = 128  # uint8 input: the int8 one has no fast kernel on x86-64
_SMALLEST = 1e-20  # added to each peak, so that a row of zeros stays one; lost in the rounding of others
_MIN_DEPTH = 32  # a shallower product is all input and output: nothing to gain


@dataclass(frozen=True, slots=True)
class _Rows:
    """A quantized input: `values` uint8, and the scale of each row, its last axis 1."""

    values: ir.Value
    scale: ir.Value


class QuantizeRows(ir.passes.InPlacePass):
    """`MatMul(x, W)` → `MatMulIntegerToFloat(QuantizeLinear(x, s), W8) · s`, s = max|x| / 127 of each row.

    s·((x / s)·W) is x·W, so only the rounding of x and W to 8 bits is lost; W has a scale for each column.
    One scale for the whole of x would round away the quiet frames, which the layer norm after the features
    makes as loud as the others. A row depends on nothing but itself: a batch still equals its items.

    Fires where W is constant, or a constant's columns cut out by a Slice. Declines products that are named in
    `keep`, and those too shallow to gain. Products of one input share its quantized rows.
    """

    def __init__(self, *, keep: Collection[str] = ()) -> None:
        self._keep = frozenset(keep)

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite the products in place; the float weights are left to dead code elimination."""
        writer = _Writer(model.graph)
        products = [node for node in model.graph if self._fires(node)]
        for node in products:
            writer.rewrite(node)
        if products:
            model.opset_imports.update({"": max(_OPSET, model.opset_imports[""]), "com.microsoft": 1})
        return ir.passes.PassResult(model, modified=bool(products))

    def _fires(self, node: ir.Node) -> bool:
        if node.op_type != "MatMul" or node.name in self._keep:
            return False
        weight = node.inputs[1]
        assert weight is not None
        tensor = _source(weight)[0].const_value
        if tensor is None or tensor.dtype != ir.DataType.FLOAT:
            return False
        return len(tensor.shape) > 1 and _constant(weight).shape[-2] >= _MIN_DEPTH


def _source(weight: ir.Value) -> tuple[ir.Value, ir.Node | None]:
    """Return the value a weight is cut from, and the Slice that cuts its columns where there is one."""
    cut = weight.producer()
    if cut is None or cut.op_type != "Slice" or cut.inputs[0] is None:
        return weight, None
    return cut.inputs[0], cut


def _constant(weight: ir.Value) -> NDArray[np.float32]:
    """Return the numbers of a weight, whole even where its columns are cut: `(..., in, out)` float32."""
    tensor = _source(weight)[0].const_value
    assert tensor is not None
    return np.asarray(tensor.numpy(), dtype=np.float32)


def quantize_columns(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round `weight (..., in, out)` float32 to int8 in [-127, 127].

    Returns it and the scales of its columns, `(..., 1, out)` float32.
    """
    peak = np.abs(weight).max(-2, keepdims=True)
    scale = np.where(peak == 0, 1.0, peak / _LEVELS).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale


class _Writer:
    """The nodes that take a product's place, and the rows and tables that several products share."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._rows: dict[ir.Value, _Rows] = {}
        self._last = self._constant("int8/last_axis", np.array([-1]))
        self._level = self._constant("int8/level", np.array(1 / _LEVELS, np.float32))
        self._one = self._constant("int8/one", np.array(1, np.float32))
        self._smallest = self._constant("int8/smallest", np.array(_SMALLEST, np.float32))
        self._zero_point = self._constant("int8/zero_point", np.array(_ZERO_POINT, np.uint8))

    def rewrite(self, product: ir.Node) -> None:
        """Put the quantized product in the place of a float one."""
        x, weight = product.inputs
        assert x is not None and weight is not None
        if x not in self._rows:
            self._rows[x] = self._quantize(product, x, depth=_constant(weight).shape[-2])
        rows = self._rows[x]
        columns, scale = self._columns(product, weight)
        inputs = [rows.values, columns, self._one, scale, self._zero_point]
        whole = self._add(product, "product", "MatMulIntegerToFloat", inputs, domain="com.microsoft")
        result = self._add(product, "result", "Mul", [whole, rows.scale])
        result.type = product.outputs[0].type
        product.outputs[0].replace_all_uses_with(result, replace_graph_outputs=True)
        self._graph.remove(product, safe=True)

    def _quantize(self, product: ir.Node, x: ir.Value, *, depth: int) -> _Rows:
        """Quantize the rows of x, in front of the first product that reads it."""
        size = self._add(product, "size", "Abs", [x])
        peak = self._add(product, "peak", "ReduceMax", [size, self._last], {"keepdims": 1})
        positive = self._add(product, "positive_peak", "Add", [peak, self._smallest])
        scale = self._add(product, "row_scale", "Mul", [positive, self._level])
        num_rows = self._add(product, "num_rows", "Shape", [scale])
        zero_points = self._add(product, "zero_points", "Expand", [self._zero_point, num_rows])
        block = {"axis": -1, "block_size": depth}
        values = self._add(product, "rows", "QuantizeLinear", [x, scale, zero_points], block)
        return _Rows(values, scale)

    def _columns(self, product: ir.Node, weight: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return the quantized weight and the scale of its columns, cut where the weight is cut."""
        source, cut = _source(weight)
        values, scale = quantize_columns(_constant(weight))
        if values.ndim == 2:
            scale = scale[0]
        columns = self._constant(f"{source.name}/columns", values)
        scales = self._constant(f"{source.name}/column_scale", scale)
        if cut is not None:
            columns = self._add(product, "columns", "Slice", [columns, *cut.inputs[1:]])
            scales = self._add(product, "column_scale", "Slice", [scales, *cut.inputs[1:]])
        return columns, scales

    def _add(
        self,
        product: ir.Node,
        purpose: str,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, int] | None = None,
        *,
        domain: str = "",
    ) -> ir.Value:
        """Add a node in front of a product, called after it and its purpose."""
        node = ir.node(op_type, inputs, attributes, domain=domain, name=f"{product.name}/{purpose}")
        node.outputs[0].name = node.name
        self._graph.insert_before(product, node)
        return node.outputs[0]

    def _constant(self, name: str, content: NDArray[Any]) -> ir.Value:
        if name not in self._graph.initializers:
            self._graph.register_initializer(constant(name, content))
        return self._graph.initializers[name]
