"""Scale attention scores to fit float16."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from sewd_export.constants import initializer

_SHARE = 1 / 64  # scores up to 4 million fit; a query of 0.004 still has all of its bits
_MOVES = frozenset({"GatherElements", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})


class ScaleScores(ir.passes.InPlacePass):
    """`Softmax(q·k + q·K + mask)` → `Softmax(64 * (q/64·k + q·(K/64)) + mask)`.

    A score is the product of two activations: if those are 100 times as large, it is 10,000 times as large.
    The largest in the digits model is 65, float16's limit 65504. Safe because scaling by a power of two is
    exact. Fires if a softmax reads a sum of matmuls, moved or not, that no other node reads, plus its mask;
    declines otherwise, and if scores are scaled already.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Scale in place."""
        modified = False
        for node in list(model.graph):
            scores = _unmasked(node.inputs[0]) if node.op_type == "Softmax" else None
            if scores is None:
                continue
            for matmul in _matmuls(scores):
                _shrink(model.graph, matmul)
            _multiply(model.graph, scores, 1 / _SHARE, list(scores.uses()))
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def _unmasked(value: ir.Value | None) -> ir.Value | None:
    """Return the sum of matmuls in a softmax's input, without its mask, or None if there is none."""
    if value is None or _matmuls(value):
        return value
    node = value.producer()
    if node is None or node.op_type != "Add" or len(value.uses()) != 1:
        return None
    sums = [part for part in map(_unmasked, node.inputs) if part is not None]
    return sums[0] if len(sums) == 1 else None


def _matmuls(value: ir.Value) -> list[ir.Node]:
    """Return the matmuls whose sum a value is; none if it is not, or if another node reads a part of it."""
    node = value.producer()
    if node is None or len(value.uses()) != 1 or value.is_graph_output():
        return []
    if node.op_type == "MatMul":
        return [node]
    if node.op_type in _MOVES and node.inputs[0] is not None:
        return _matmuls(node.inputs[0])
    if node.op_type == "Add":
        parts = [_matmuls(part) for part in node.inputs if part is not None]
        return [matmul for part in parts for matmul in part] if all(parts) else []
    return []


def _shrink(graph: ir.Graph, matmul: ir.Node) -> None:
    """Scale a matmul's constant input, or the constant it is sliced from; its first input if both vary."""
    for reader, position in ((matmul, 0), (matmul, 1), *_cuts(matmul)):
        value = reader.inputs[position]
        if value is None or value.const_value is None:
            continue
        shrunk = value.const_value.numpy() * np.float32(_SHARE)
        reader.replace_input_with(position, initializer(graph, f"{value.name}:shrunk", shrunk))
        if not value.uses():
            del graph.initializers[str(value.name)]
        return
    first = matmul.inputs[0]
    assert first is not None
    [use] = [use for use in first.uses() if use.node is matmul and use.idx == 0]
    _multiply(graph, first, _SHARE, [use])


def _cuts(matmul: ir.Node) -> list[tuple[ir.Node, int]]:
    """Return the Slices that only this matmul reads, each with the position of the sliced input."""
    sides = [value for value in matmul.inputs if value is not None and len(value.uses()) == 1]
    producers = [value.producer() for value in sides]
    return [(node, 0) for node in producers if node is not None and node.op_type == "Slice"]


def _multiply(graph: ir.Graph, value: ir.Value, factor: float, uses: Sequence[Any]) -> None:
    """Make `uses` of a value read it times a factor."""
    name = f"times {factor:g}"
    factors = initializer(graph, name, np.array(factor, np.float32))
    node = ir.node("Mul", [value, factors], name=f"{value.name}:{name}")
    [result] = node.outputs
    result.name, result.type, result.shape = node.name, value.type, value.shape
    producer = value.producer()
    assert producer is not None  # a computed value
    graph.insert_after(producer, node)
    for use in uses:
        use.node.replace_input_with(use.idx, result)
