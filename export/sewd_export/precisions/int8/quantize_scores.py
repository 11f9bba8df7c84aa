"""Int8 attention scores."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sewd_export.precisions.int8.quantize_rows import QuantizedRows
from sewd_export.precisions.node_writer import NodeWriter

_MATMUL = "MatMulIntegerToFloat"


class QuantizeScores(ir.passes.InPlacePass):
    """`MatMul(q, kᵀ)` → `MatMulIntegerToFloat(q8, k8ᵀ, s_kᵀ) · s_q`, s_k the scales of its columns.

    Fires if the rows of both q and k are quantized already, as input of matmuls with position tables.
    Declines otherwise, and if k is moved in any other way.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in place; the transposed k is left to dead code elimination."""
        modified = False
        nodes = NodeWriter(model.graph)
        one = nodes.constant("int8/1", np.array(1, np.float32))
        for matmul in [node for node in model.graph if node.op_type == "MatMul"]:
            left = _rows_of(matmul.inputs[0])
            move = _transpose_of(matmul.inputs[1])
            right = None if move is None else _rows_of(move.inputs[0])
            if left is None or move is None or right is None:
                continue
            columns = nodes.add(matmul, "columns", "Transpose", [right.values], move.attributes)
            scale = nodes.add(matmul, "column_scale", "Transpose", [right.scale], move.attributes)
            inputs = [left.values, columns, one, scale, left.zero_point, right.zero_point]
            whole = nodes.add(matmul, "product", _MATMUL, inputs, domain="com.microsoft")
            nodes.replace(matmul, nodes.add(matmul, "result", "Mul", [whole, left.scale]))
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def _rows_of(value: ir.Value | None) -> QuantizedRows | None:
    """Return a value's quantized rows, if a matmul reads them."""
    for use in value.uses() if value is not None else ():
        if use.node.op_type != "QuantizeLinear" or use.idx != 0:
            continue
        rows, scale = use.node.outputs[0], use.node.inputs[1]
        for reader in rows.consumers():
            zero_point = reader.inputs[4] if reader.op_type == _MATMUL else None
            if scale is not None and zero_point is not None:
                return QuantizedRows(rows, scale, zero_point)
    return None


def _transpose_of(value: ir.Value | None) -> ir.Node | None:
    """Return the Transpose of the last two axes that gives a value."""
    node = None if value is None else value.producer()
    if node is None or node.op_type != "Transpose":
        return None
    axes = list(node.attributes.get_ints("perm", ()))
    return node if axes[-2:] == [len(axes) - 1, len(axes) - 2] else None
