"""Divide counts with one node."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

_ROUNDING = ("Cast", "And", "Cast", "Mod")  # from the correction for negative numbers back to the division


class DivideCounts(ir.passes.InPlacePass):
    """`Sub(Div(a, n), Cast(And(a < 0, a mod n)))` → `Div(a, n)` for a count `a`.

    Torch floors and ONNX truncates, so seven nodes correct the quotient of negative numbers. Safe if `a` was
    clipped at 0, or is itself such a quotient; declines if it may be negative.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Bypass the corrections in place; their nodes are left to dead code elimination."""
        counts: set[ir.Value] = set()
        modified = False
        for node in model.graph:
            if node.op_type == "Clip" and _is_natural(node.inputs[1]):
                counts.add(node.outputs[0])
            quotient = _corrected(node)
            if quotient is None or quotient.inputs[0] not in counts:
                continue
            result, whole = node.outputs[0], quotient.outputs[0]
            if result.is_graph_output():  # outputs keep their names and axes
                result.name, whole.name, whole.shape = f"{result.name}_floored", result.name, result.shape
            result.replace_all_uses_with(whole, replace_graph_outputs=True)
            counts.add(whole)
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def _is_natural(value: ir.Value | None) -> bool:
    tensor = None if value is None else value.const_value
    return tensor is not None and bool((tensor.numpy() >= 0).all())


def _corrected(node: ir.Node) -> ir.Node | None:
    """Return the Div whose quotient this node corrects by its own remainder, None for any other node."""
    result = node.outputs[0]
    if node.op_type != "Sub" or not (result.uses() or result.is_graph_output()):
        return None
    quotient, correction = (value.producer() if value is not None else None for value in node.inputs)
    if quotient is None or quotient.op_type != "Div" or correction is None:
        return None
    is_remainder = any(step.inputs[:2] == quotient.inputs[:2] for step in _behind(correction, _ROUNDING))
    return quotient if is_remainder else None


def _behind(node: ir.Node, kinds: tuple[str, ...]) -> Iterator[ir.Node]:
    """Yield the last node of every chain of these kinds, from this node towards the inputs."""
    if node.op_type != kinds[0]:
        return
    if len(kinds) == 1:
        yield node
        return
    for value in node.inputs:
        producer = None if value is None else value.producer()
        if producer is not None:
            yield from _behind(producer, kinds[1:])
