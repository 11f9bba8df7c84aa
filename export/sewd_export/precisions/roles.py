"""What nodes of a float32 graph are, for the conversions of it."""

from __future__ import annotations

import onnx_ir as ir

PRODUCTS = frozenset({"Conv", "Gemm", "MatMul"})
ACTIVATIONS = frozenset({"Gelu", "LeakyRelu", "PRelu", "Relu", "Sigmoid", "Tanh"})
MOVES = frozenset(
    {
        *("Concat", "Expand", "Gather", "GatherElements", "GatherND", "Pad", "Reshape", "Slice", "Split"),
        *("Squeeze", "Transpose", "Unsqueeze", "Where"),
    }
)
NORMALISING = frozenset({"LayerNormalization", "Softmax"})
_ACTIVATION_MODULE = ".activation"  # ends the name of each, whatever it is made of


def data(node: ir.Node) -> list[ir.Value]:
    """Return the float inputs that are computed."""
    found = [value for value in node.inputs if value is not None and value.const_value is None]
    return [value for value in found if value.dtype == ir.DataType.FLOAT]


def is_activation(node: ir.Node) -> bool:
    """Tell whether a node is an activation or a part of one."""
    return node.op_type in ACTIVATIONS or str(node.name).split("/")[0].endswith(_ACTIVATION_MODULE)


def output_products(graph: ir.Graph) -> set[ir.Node]:
    """Return the products that reach the output through additions and moves alone."""
    found: set[ir.Node] = set()
    values: list[ir.Value] = [value for value in graph.outputs if value.dtype == ir.DataType.FLOAT]
    while values:
        node = values.pop().producer()
        if node is not None and node.op_type in PRODUCTS:
            found.add(node)
        elif node is not None and node.op_type in MOVES | {"Add"}:
            values += data(node)
    return found


def activation_of(value: ir.Value) -> ir.Node | None:
    """Return the activation that a value comes out of, moved or not: few of these go far below zero."""
    node = value.producer()
    while node is not None and node.op_type in MOVES and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    return node if node is not None and is_activation(node) else None


def exposed_products(graph: ir.Graph) -> set[ir.Node]:
    """Return the products with no norm between them and an output: their rounding is seen as it is."""
    found: set[ir.Node] = set()
    values = {value for value in graph.outputs if value.dtype == ir.DataType.FLOAT}
    seen = set(values)
    while values:
        node = values.pop().producer()
        if node is None or node.op_type in NORMALISING:
            continue
        if node.op_type in PRODUCTS:
            found.add(node)
        values |= set(data(node)) - seen
        seen |= values
    return found


def unbounded(graph: ir.Graph) -> set[ir.Value]:
    """Return what the samples reach without passing a norm: any size occurs there. The graph is sorted."""
    found = {value for value in graph.inputs if value.dtype == ir.DataType.FLOAT}
    for node in graph:
        if not found.isdisjoint(data(node)) and node.op_type not in NORMALISING:
            found.update(value for value in node.outputs if value.dtype == ir.DataType.FLOAT)
    return found
