"""Constants of graphs."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray


def constant(name: str, array: NDArray[Any]) -> ir.Value:
    """Return a typed value that holds an array; register it as an initializer before it is read."""
    tensor = ir.tensor(array, name=name)
    kind = ir.TensorType(tensor.dtype)
    return ir.Value(name=name, const_value=tensor, type=kind, shape=ir.Shape(array.shape))


def initializer(graph: ir.Graph, name: str, array: NDArray[Any]) -> ir.Value:
    """Return the graph's initializer of that name; if there is none, make it from the array."""
    if name not in graph.initializers:
        graph.register_initializer(constant(name, array))
    return graph.initializers[name]
