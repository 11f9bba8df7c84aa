"""Make room for attention scores in float16."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from sewd_export.constants import constant

_SHARE = 1 / 64  # scores of up to 4 million fit; a query of 0.004 still has all of its bits
_MOVES = frozenset({"GatherElements", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})


class ScaleScores(ir.passes.InPlacePass):
    """`Softmax(q·k + q·K + mask)` → `Softmax(64 * (q/64·k + q·(K/64)) + mask)`.

    A score is a product of two activations: where those are 100 times as large it is 10,000 times as large.
    The largest in the digits model is 65, and float16 ends at 65504. Safe because a power of two is exact.
    Fires where everything under a softmax but its mask is a sum of products, moved or not, that nothing else
    reads; declines elsewhere, and where scores are scaled already.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Scale in place."""
        modified = False
        for node in list(model.graph):
            scores = _unmasked(node.inputs[0]) if node.op_type == "Softmax" else None
            if scores is None:
                continue
            for product in _products(scores):
                _shrink(model.graph, product)
            _multiply(model.graph, scores, 1 / _SHARE, list(scores.uses()))
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def _unmasked(value: ir.Value | None) -> ir.Value | None:
    """Return the sum of products in a softmax's input, without the masks that are added to it, or None."""
    if value is None or _products(value):
        return value
    node = value.producer()
    if node is None or node.op_type != "Add" or len(value.uses()) != 1:
        return None
    found = [part for part in map(_unmasked, node.inputs) if part is not None]
    return found[0] if len(found) == 1 else None


def _products(value: ir.Value) -> list[ir.Node]:
    """Return the products that a value is the sum of; none if it is not, or if others read a part of it."""
    node = value.producer()
    if node is None or len(value.uses()) != 1 or value.is_graph_output():
        return []
    if node.op_type == "MatMul":
        return [node]
    if node.op_type in _MOVES and node.inputs[0] is not None:
        return _products(node.inputs[0])
    if node.op_type == "Add":
        parts = [_products(part) for part in node.inputs if part is not None]
        return [product for part in parts for product in part] if all(parts) else []
    return []


def _shrink(graph: ir.Graph, product: ir.Node) -> None:
    """Scale the constant side of a product, or what it is cut from; its first side where both vary."""
    for reader, position in ((product, 0), (product, 1), *_cuts(product)):
        value = reader.inputs[position]
        if value is None or value.const_value is None:
            continue
        name = f"{value.name}:shrunk"
        if name not in graph.initializers:
            shrunk = value.const_value.numpy() * np.float32(_SHARE)
            graph.register_initializer(constant(name, shrunk))
        reader.replace_input_with(position, graph.initializers[name])
        if not value.uses():
            del graph.initializers[str(value.name)]
        return
    first = product.inputs[0]
    assert first is not None
    [use] = [use for use in first.uses() if use.node is product and use.idx == 0]
    _multiply(graph, first, _SHARE, [use])


def _cuts(product: ir.Node) -> list[tuple[ir.Node, int]]:
    """Return the Slices that nothing but this product reads, each with the place of what it cuts."""
    sides = [value for value in product.inputs if value is not None and len(value.uses()) == 1]
    producers = [value.producer() for value in sides]
    return [(node, 0) for node in producers if node is not None and node.op_type == "Slice"]


def _multiply(graph: ir.Graph, value: ir.Value, factor: float, uses: Sequence[Any]) -> None:
    """Let `uses` of a value read it times a factor."""
    name = f"times {factor:g}"
    if name not in graph.initializers:
        graph.register_initializer(constant(name, np.array(factor, np.float32)))
    node = ir.node("Mul", [value, graph.initializers[name]], name=f"{value.name}:{name}")
    [result] = node.outputs
    result.name, result.type, result.shape = node.name, value.type, value.shape
    producer = value.producer()
    assert producer is not None  # what is scaled was computed
    graph.insert_after(producer, node)
    for use in uses:
        use.node.replace_input_with(use.idx, result)
