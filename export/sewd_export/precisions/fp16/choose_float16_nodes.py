"""Choose the nodes that compute in float16."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.precisions.roles import (
    ACTIVATIONS,
    MATMULS,
    MOVES,
    float_inputs,
    is_activation,
    output_matmuls,
)

_FLOAT = ir.DataType.FLOAT
_LARGEST = 65504.0  # float16


def float16_nodes(graph: ir.Graph) -> set[ir.Node]:
    """Return the nodes of a sorted float32 graph that are to compute in float16."""
    waveform, last = _waveform(graph), output_matmuls(graph)
    chosen: set[ir.Node] = set()
    for node in graph:
        inputs = float_inputs(node)
        follows = bool(inputs) and all(value.producer() in chosen for value in inputs)
        is_matmul = node.op_type in MATMULS and node not in last and waveform.isdisjoint(inputs)
        if _fits(node) and (is_matmul or (follows and _may_follow(node))):
            chosen.add(node)
    for node in reversed(graph):  # if all readers round, round first: the node itself runs in float16
        readers = [use.node for value in node.outputs for use in value.uses()]
        is_read = bool(readers) and not any(value.is_graph_output() for value in node.outputs)
        if is_read and node.op_type in MOVES | ACTIVATIONS and chosen.issuperset(readers) and _fits(node):
            chosen.add(node)
    return {node for node in chosen if any(value.dtype == _FLOAT for value in node.outputs)}


def _constants(node: ir.Node) -> list[NDArray[np.float32]]:
    tensors = [value.const_value for value in node.inputs if value is not None]
    return [tensor.numpy() for tensor in tensors if tensor is not None and tensor.dtype == _FLOAT]


def _fits(node: ir.Node) -> bool:
    return all(np.abs(constant).max(initial=0) <= _LARGEST for constant in _constants(node))


def _may_follow(node: ir.Node) -> bool:
    """Return whether a node can compute in float16 after float16: a Mul only if it is exact."""
    if node.op_type == "Mul":
        factors = _constants(node)
        factor = factors[0].item() if len(factors) == 1 and factors[0].size == 1 else 0
        return 0 < factor <= 1 and math.log2(factor).is_integer()
    return node.op_type in MOVES | ACTIVATIONS | {"Add"}


def _waveform(graph: ir.Graph) -> set[ir.Value]:
    """Return the values computed from the samples before the first activation."""
    values = {value for value in graph.inputs if value.dtype == _FLOAT}
    for node in graph:
        if not values.isdisjoint(float_inputs(node)) and not is_activation(node):
            values.update(value for value in node.outputs if value.dtype == _FLOAT)
    return values
