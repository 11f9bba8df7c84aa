"""Make the repeated indices of GatherElements int32."""

from __future__ import annotations

import onnx_ir as ir


class NarrowIndices(ir.passes.InPlacePass):
    """`GatherElements(x, Expand(index, shape))` → `GatherElements(x, Expand(Cast(index, int32), shape))`.

    Safe because an index is a row of a table in memory, which fits int32. Fires if every reader of an int64
    Expand is a GatherElements that reads it as index; declines for any other reader, which may need int64.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Insert the casts in place."""
        modified = False
        for node in list(model.graph):
            if node.op_type != "Expand" or not _is_only_an_index(node.outputs[0]):
                continue
            index = node.inputs[0]
            if index is None or index.dtype != ir.DataType.INT64:
                continue
            narrow = ir.node("Cast", [index], {"to": ir.DataType.INT32})
            narrow.metadata_props.update(node.metadata_props)
            for value in (narrow.outputs[0], node.outputs[0]):
                value.type = ir.TensorType(ir.DataType.INT32)  # its own: values may share a type object
            model.graph.insert_before(node, narrow)
            node.replace_input_with(0, narrow.outputs[0])
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def _is_only_an_index(value: ir.Value) -> bool:
    uses = value.uses()
    is_index = [use.node.op_type == "GatherElements" and use.idx == 1 for use in uses]
    return bool(uses) and all(is_index) and not value.is_graph_output()
