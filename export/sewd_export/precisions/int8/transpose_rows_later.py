"""Transpose rows after they are quantized."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sewd_export.precisions.node_writer import NodeWriter


class TransposeRowsLater(ir.passes.InPlacePass):
    """`QuantizeLinear(Transpose(x), s, z)` → `Transpose(QuantizeLinear(x, s', z'))`, s' and z' moved back.

    This moves a quarter of the bytes, and avoids a bug of onnxruntime, up to 1.30 at least: its optimizer
    makes the same change but does not move s and z, and the model does not run.

    Safe because a row stays a row: fires if s is for blocks of the last axis, which Transpose leaves last.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in place; s is still computed from the transposed x."""
        modified = False
        nodes = NodeWriter(model.graph)
        for node in list(model.graph):
            move = _row_move(node)
            if move is None:
                continue
            axes = list(move.attributes.get_ints("perm", ()))
            back = {"perm": np.argsort(axes).tolist()}
            parameters = [
                nodes.add(node, f"{name}_moved_back", "Transpose", [value], back)
                for name, value in zip(("scale", "zero_point"), node.inputs[1:], strict=True)
            ]
            still = nodes.add(node, "still", node.op_type, [move.inputs[0], *parameters], node.attributes)
            nodes.replace(node, nodes.add(node, "moved", "Transpose", [still], {"perm": axes}))
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def _row_move(node: ir.Node) -> ir.Node | None:
    """Return the Transpose of rows in front of a QuantizeLinear in blocks of the last axis."""
    if node.op_type != "QuantizeLinear" or "block_size" not in node.attributes or len(node.inputs) != 3:
        return None
    assert node.inputs[0] is not None
    move = node.inputs[0].producer()
    if move is None or move.op_type != "Transpose":
        return None
    axes = list(move.attributes.get_ints("perm", ()))
    return move if axes and axes[-1] == len(axes) - 1 else None
