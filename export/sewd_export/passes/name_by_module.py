"""Name nodes and values after the module they come from."""

from __future__ import annotations

import ast
from collections import Counter

import onnx_ir as ir

_SCOPES = "pkg.torch.onnx.name_scopes"
_UNSCOPED = "_empty_nn_module_stack_from_metadata_hook"  # torch's name for arithmetic on axis sizes


class NameByModule(ir.passes.InPlacePass):
    """`node_matmul_15` in `sew_d.layers.3.attention.scores` → `layers.3.attention.scores/MatMul`.

    A second node of the same type in the same module gets `_1`, and so on in the graph's order; a value is
    named after its node. Intermediate shapes, formulas of torch's symbols, are dropped; tools can infer them.
    Safe because names do not affect the result; nodes without a module (`name_scopes`) keep their names.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rename in place."""
        interface = {value.name for value in (*model.graph.inputs, *model.graph.outputs)}
        counts: Counter[str] = Counter()
        modified = False
        for node in model.graph:
            scope = _scope(node)
            if scope is None:
                continue
            kind = f"{scope}/{node.op_type}"
            name = f"{kind}_{counts[kind]}" if counts[kind] else kind
            counts[kind] += 1
            modified |= node.name != name
            node.name = name
            for position, value in enumerate(node.outputs):
                if value.name not in interface:
                    value.name = f"{name}:{position}" if position else name
                    modified |= value.shape is not None
                    value.shape = None
        values = (*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values())
        for value in values:
            modified |= bool(value.metadata_props)
            value.metadata_props.clear()
        return ir.passes.PassResult(model, modified=modified)


def _scope(node: ir.Node) -> str | None:
    """Return the innermost module of a node, None if torch recorded none."""
    scopes = node.metadata_props.get(_SCOPES)
    if scopes is None:
        return None
    modules: list[str] = ast.literal_eval(scopes)[:-1]  # the last is the operation itself
    innermost = modules[-1] if modules else ""
    if innermost == _UNSCOPED:
        return "sizes"
    return innermost.removeprefix("sew_d").removeprefix(".") or "model"
