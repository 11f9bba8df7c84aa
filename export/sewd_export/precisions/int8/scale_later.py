"""Multiply by row scales as late as possible."""

from __future__ import annotations

import onnx_ir as ir

from sewd_export.precisions.node_writer import NodeWriter


class ScaleLater(ir.passes.InPlacePass):
    """Multiply by the scales of rows after moves and additions, where there is less to multiply.

    - `GatherElements(x · s)` along the rows → `GatherElements(x) · s`: it drops values that are no scores
    - `Transpose(x · s)` → `Transpose(x) · Transpose(s)`
    - `Add(x · s, y · s)` → `Add(x, y) · s`

    Safe because s has one number per row, and no value leaves its row. Declines if another node reads the
    scaled value, and for other scales than those of quantized rows.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in place; the graph is sorted, so a scale moves as far as it can."""
        modified = False
        nodes = NodeWriter(model.graph)
        for node in list(model.graph):
            scaled = [_scaled(value) for value in node.inputs]
            if not scaled or scaled[0] is None:
                continue
            x, scale = scaled[0]
            if node.op_type == "GatherElements" and node.attributes.get_int("axis", 0) == -1:
                inputs = [x, node.inputs[1]]
            elif node.op_type == "Transpose":
                inputs = [x]
                scale = nodes.add(node, "scale", "Transpose", [scale], node.attributes)
            elif node.op_type == "Add" and scaled[1] is not None and scaled[1][1] is scale:
                inputs = [x, scaled[1][0]]
            else:
                continue
            bare = nodes.add(node, "unscaled", node.op_type, inputs, node.attributes)
            nodes.replace(node, nodes.add(node, "scaled", "Mul", [bare, scale]))
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def _scaled(value: ir.Value | None) -> tuple[ir.Value, ir.Value] | None:
    """Return (x, s) if a value is x times the scales of rows and has one reader."""
    node = None if value is None else value.producer()
    if value is None or node is None or node.op_type != "Mul" or len(value.uses()) != 1:
        return None
    x, scale = node.inputs
    return (x, scale) if x is not None and scale is not None and _is_row_scale(scale) else None


def _is_row_scale(value: ir.Value) -> bool:
    blocked = [use.node for use in value.uses() if use.node.op_type == "QuantizeLinear" and use.idx == 1]
    return any("block_size" in node.attributes for node in blocked)
