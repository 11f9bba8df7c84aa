"""Attention scores in 8 bits, and their scales once for all of their terms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnx_ir as ir

from sewd_export.precisions.node_writer import NodeWriter

_PRODUCT = "MatMulIntegerToFloat"


class _Rows(NamedTuple):
    """A value as products have quantized it: uint8, the scale of each row, the zero point of all."""

    values: ir.Value
    scale: ir.Value
    zero_point: ir.Value


class QuantizeScores(ir.passes.InPlacePass):
    """`MatMul(q, kᵀ)` → `MatMulIntegerToFloat(q8, k8ᵀ, s_kᵀ) · s_q`, s_k the scales of its columns.

    Fires where products with constant weights have quantized the rows of both q and k, as those with position
    tables do: then the 8 bits are there. Declines elsewhere, and for what moves k otherwise.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in place; the transposed k is left to dead code elimination."""
        modified = False
        nodes = NodeWriter(model.graph)
        one = nodes.constant("int8/1", np.array(1, np.float32))
        for product in [node for node in model.graph if node.op_type == "MatMul"]:
            left = _rows_of(product.inputs[0])
            move = _transpose_of(product.inputs[1])
            right = None if move is None else _rows_of(move.inputs[0])
            if left is None or move is None or right is None:
                continue
            columns = nodes.add(product, "columns", "Transpose", [right.values], move.attributes)
            scale = nodes.add(product, "column_scale", "Transpose", [right.scale], move.attributes)
            inputs = [left.values, columns, one, scale, left.zero_point, right.zero_point]
            whole = nodes.add(product, "product", _PRODUCT, inputs, domain="com.microsoft")
            nodes.replace(product, nodes.add(product, "result", "Mul", [whole, left.scale]))
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def _rows_of(value: ir.Value | None) -> _Rows | None:
    """Return a value's quantized rows, where a product reads them."""
    for use in value.uses() if value is not None else ():
        if use.node.op_type != "QuantizeLinear" or use.idx != 0:
            continue
        rows, scale = use.node.outputs[0], use.node.inputs[1]
        for reader in rows.consumers():
            zero_point = reader.inputs[4] if reader.op_type == _PRODUCT else None
            if scale is not None and zero_point is not None:
                return _Rows(rows, scale, zero_point)
    return None


def _transpose_of(value: ir.Value | None) -> ir.Node | None:
    """Return what swaps the last two axes to give a value."""
    node = None if value is None else value.producer()
    if node is None or node.op_type != "Transpose":
        return None
    axes = list(node.attributes.get_ints("perm", ()))
    return node if axes[-2:] == [len(axes) - 1, len(axes) - 2] else None


class ScaleLater(ir.passes.InPlacePass):
    """Multiply by the scales of rows behind what moves and adds them: there is less to multiply, and once.

    - `GatherElements(x · s)` along the rows → `GatherElements(x) · s`: of the products not all are scores
    - `Transpose(x · s)` → `Transpose(x) · Transpose(s)`
    - `Add(x · s, y · s)` → `Add(x, y) · s`

    Safe because s has one number for each row, and no number leaves its row. Declines where others read the
    scaled value, and for what is no scale of quantized rows.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in place; the graph is sorted, so a scale goes on as far as it can."""
        modified = False
        nodes = NodeWriter(model.graph)
        for node in list(model.graph):
            parts = [_scaled(value) for value in node.inputs]
            if not parts or parts[0] is None:
                continue
            x, scale = parts[0]
            if node.op_type == "GatherElements" and node.attributes.get_int("axis", 0) == -1:
                inputs = [x, node.inputs[1]]
            elif node.op_type == "Transpose":
                inputs = [x]
                scale = nodes.add(node, "scale", "Transpose", [scale], node.attributes)
            elif node.op_type == "Add" and parts[1] is not None and parts[1][1] is scale:
                inputs = [x, parts[1][0]]
            else:
                continue
            bare = nodes.add(node, "unscaled", node.op_type, inputs, node.attributes)
            nodes.replace(node, nodes.add(node, "scaled", "Mul", [bare, scale]))
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def _scaled(value: ir.Value | None) -> tuple[ir.Value, ir.Value] | None:
    """Return (x, s) where a value is x times the scales of rows and nothing else reads it."""
    node = None if value is None else value.producer()
    if value is None or node is None or node.op_type != "Mul" or len(value.uses()) != 1:
        return None
    x, scale = node.inputs
    return (x, scale) if x is not None and scale is not None and _is_row_scale(scale) else None


def _is_row_scale(value: ir.Value) -> bool:
    blocked = [use.node for use in value.uses() if use.node.op_type == "QuantizeLinear" and use.idx == 1]
    return any("block_size" in node.attributes for node in blocked)
