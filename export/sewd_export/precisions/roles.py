"""The roles of nodes and values in a float32 graph, which decide how they are converted."""

from __future__ import annotations

import onnx_ir as ir

MATMULS = frozenset({"Conv", "Gemm", "MatMul"})
ACTIVATIONS = frozenset({"Gelu", "LeakyRelu", "PRelu", "Relu", "Sigmoid", "Tanh"})
MOVES = frozenset(
    {
        *("Concat", "Expand", "Gather", "GatherElements", "GatherND", "Pad", "Reshape", "Slice", "Split"),
        *("Squeeze", "Transpose", "Unsqueeze", "Where"),
    }
)
"""Operators that move values without changing them."""
NORMS = frozenset({"LayerNormalization", "Softmax"})
_ACTIVATION_MODULE = ".activation"  # ends the module name of every activation, whatever nodes it consists of


def float_inputs(node: ir.Node) -> list[ir.Value]:
    """Return the float32 inputs that are computed, not constant."""
    computed = [value for value in node.inputs if value is not None and value.const_value is None]
    return [value for value in computed if value.dtype == ir.DataType.FLOAT]


def is_activation(node: ir.Node) -> bool:
    """Return whether a node is an activation or a part of one."""
    return node.op_type in ACTIVATIONS or str(node.name).split("/")[0].endswith(_ACTIVATION_MODULE)


def activation_of(value: ir.Value) -> ir.Node | None:
    """Return the activation that computes a value, moved or not; few activations go far below zero."""
    node = value.producer()
    while node is not None and node.op_type in MOVES and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    return node if node is not None and is_activation(node) else None


def output_matmuls(graph: ir.Graph) -> set[ir.Node]:
    """Return the matmuls with nothing but additions and moves between them and an output."""
    matmuls: set[ir.Node] = set()
    values: list[ir.Value] = [value for value in graph.outputs if value.dtype == ir.DataType.FLOAT]
    while values:
        node = values.pop().producer()
        if node is not None and node.op_type in MATMULS:
            matmuls.add(node)
        elif node is not None and node.op_type in MOVES | {"Add"}:
            values += float_inputs(node)
    return matmuls


def exposed_matmuls(graph: ir.Graph) -> set[ir.Node]:
    """Return the matmuls with no norm between them and an output, which shows their rounding undamped."""
    matmuls: set[ir.Node] = set()
    values = {value for value in graph.outputs if value.dtype == ir.DataType.FLOAT}
    visited = set(values)
    while values:
        node = values.pop().producer()
        if node is None or node.op_type in NORMS:
            continue
        if node.op_type in MATMULS:
            matmuls.add(node)
        values |= set(float_inputs(node)) - visited
        visited |= values
    return matmuls


def unbounded_values(graph: ir.Graph) -> set[ir.Value]:
    """Return the values with no norm between the samples and them: of any magnitude. The graph is sorted."""
    values = {value for value in graph.inputs if value.dtype == ir.DataType.FLOAT}
    for node in graph:
        if not values.isdisjoint(float_inputs(node)) and node.op_type not in NORMS:
            values.update(value for value in node.outputs if value.dtype == ir.DataType.FLOAT)
    return values
