"""Int8 matmuls whose input rows each have a scale of their own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from sewd_export.precisions.int8_weights import SMALLEST, content_of, gains, quantize_columns, source_of
from sewd_export.precisions.node_writer import NodeWriter
from sewd_export.precisions.roles import activation_of, output_matmuls, unbounded_values

_OPSET = 21  # the first whose QuantizeLinear takes a scale for each block
_STEPS = 255  # of an input; uint8, because int8 has no fast kernel on x86-64
_MIDDLE = 128  # the zero point of rows that reach as far below zero as above
_LOW = 64  # of an activation's output before the first norm, where it may be quiet
_LOWEST = 32  # of an activation's output after a norm
_TROUGHS = {"Gelu": 0.1701, "Relu": 0.0}  # how far below zero an activation reaches
_TWO_SIDED = frozenset({"Tanh"})  # activations
_INFINITE = 3e38


@dataclass(frozen=True, slots=True)
class QuantizedRows:
    """A quantized input: `values` uint8, a scale per row (last axis 1), one zero point."""

    values: ir.Value
    scale: ir.Value
    zero_point: ir.Value


class QuantizeRows(ir.passes.InPlacePass):
    """`MatMul(x, W)` → `MatMulIntegerToFloat(QuantizeLinear(x, s), W8) · s`, with s for each row of x.

    s·((x / s)·W) is x·W, so the only error is the rounding of x and W to 8 bits; W has a scale per column.
    One scale for all of x would round away the quiet frames, which the layer norm after the features makes as
    loud as the others. A row depends only on itself, so a batch still equals its items.

    Activations hardly go below zero: their output has a zero point below the middle, one constant because the
    operator takes one for all rows, and s is the smallest scale with room for the row on both sides of it.
    After a norm a row reaches so far above zero that the activation's minimum alone bounds the other side.

    Fires if W is constant, or a Slice of a constant's columns. Declines matmuls named in `keep`, those too
    shallow to gain, and the one that makes the output: its rounding would go straight into the logits, and it
    is a thousandth of the work. Matmuls of one input share its quantized rows. The graph must be sorted.
    """

    def __init__(self, *, keep: Collection[str] = ()) -> None:
        self._keep = frozenset(keep)

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite the matmuls in place; the float weights are left to dead code elimination."""
        quantizer = _RowQuantizer(model.graph)
        matmuls = self.matmuls(model)
        for node in matmuls:
            quantizer.rewrite(node)
        if matmuls:
            model.opset_imports.update({"": max(_OPSET, model.opset_imports[""]), "com.microsoft": 1})
        return ir.passes.PassResult(model, modified=bool(matmuls))

    def matmuls(self, model: ir.Model) -> list[ir.Node]:
        """Return the matmuls that `call` rewrites."""
        last = output_matmuls(model.graph)
        nodes = [node for node in model.graph if node not in last and node.name not in self._keep]
        return [node for node in nodes if gains(node)]


class _RowQuantizer:
    """Writes the nodes that replace matmuls, and the quantized rows that several of them share."""

    def __init__(self, graph: ir.Graph) -> None:
        self._nodes = NodeWriter(graph)
        self._add, self._constant = self._nodes.add, self._nodes.constant
        self._unbounded = unbounded_values(graph)
        self._rows: dict[ir.Value, QuantizedRows] = {}
        self._last = self._constant("int8/last_axis", np.array([-1]))

    def rewrite(self, matmul: ir.Node) -> None:
        """Replace a float matmul by a quantized one."""
        x, weight = matmul.inputs
        assert x is not None and weight is not None
        if x not in self._rows:
            self._rows[x] = self._quantize(matmul, x, content_of(weight).shape[-2])
        rows = self._rows[x]
        columns, scale = self._columns(matmul, weight)
        inputs = [rows.values, columns, self._number(1), scale, rows.zero_point]
        whole = self._add(matmul, "product", "MatMulIntegerToFloat", inputs, domain="com.microsoft")
        self._nodes.replace(matmul, self._add(matmul, "result", "Mul", [whole, rows.scale]))

    def _quantize(self, matmul: ir.Node, x: ir.Value, depth: int) -> QuantizedRows:
        """Quantize rows in front of the first matmul that reads them."""
        zero, trough = self._below_zero(x)
        bounds = [self._bound(matmul, "peak", "ReduceMax", x, 1 / (_STEPS - zero))]
        if trough is None:
            bounds += [self._bound(matmul, "trough", "ReduceMin", x, -1 / zero), self._number(SMALLEST)]
        else:
            bounds.append(self._number(max(trough / zero, SMALLEST)))
        scales = self._add(matmul, "scales", "Max", bounds)
        scale = self._add(matmul, "row_scale", "Unsqueeze", [scales, self._last])
        zero_point = self._constant(f"int8/zero_{zero}", np.array(zero, np.uint8))
        # any scale divided by 3e38 rounds to 0, so this one node repeats the zero point for each row
        repeated = [scale, self._number(_INFINITE), zero_point]
        zero_points = self._add(matmul, "zero_points", "QuantizeLinear", repeated)
        block = {"axis": -1, "block_size": depth}
        rows = self._add(matmul, "rows", "QuantizeLinear", [x, scale, zero_points], block)
        return QuantizedRows(rows, scale, zero_point)

    def _below_zero(self, x: ir.Value) -> tuple[int, float | None]:
        """Return an input's zero point, and how far below zero it reaches, None if unknown."""
        activation = activation_of(x)
        if activation is None or activation.op_type in _TWO_SIDED:
            return _MIDDLE, None
        trough = _TROUGHS.get(activation.op_type)
        return (_LOW, None) if trough is None or x in self._unbounded else (_LOWEST, trough)

    def _bound(self, matmul: ir.Node, purpose: str, op_type: str, x: ir.Value, factor: float) -> ir.Value:
        """Return the smallest scale with room for one end of each row: x's shape without the last axis.

        A last axis of 1 would make onnxruntime multiply row by row, which takes 20 times as long.
        """
        end = self._add(matmul, purpose, op_type, [x, self._last], {"keepdims": 0})
        return self._add(matmul, f"{purpose}_scale", "Mul", [end, self._number(factor)])

    def _number(self, content: float) -> ir.Value:
        return self._constant(f"int8/{content:.4g}", np.array(content, np.float32))

    def _columns(self, matmul: ir.Node, weight: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return the quantized weight and the scales of its columns, both sliced like the weight."""
        source, cut = source_of(weight)
        values, scale = quantize_columns(content_of(weight))
        if values.ndim == 2:
            scale = scale[0]
        columns = self._constant(f"{source.name}/columns", values)
        scales = self._constant(f"{source.name}/column_scale", scale)
        if cut is not None:
            columns = self._add(matmul, "columns", "Slice", [columns, *cut.inputs[1:]])
            scales = self._add(matmul, "column_scale", "Slice", [scales, *cut.inputs[1:]])
        return columns, scales
