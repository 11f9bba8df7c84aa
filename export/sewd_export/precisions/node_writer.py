"""Nodes and constants that take a product's place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.constants import constant


class NodeWriter:
    """Adds nodes in front of a product, each called after it and its purpose, and at last replaces it."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph

    def add(
        self,
        product: ir.Node,
        purpose: str,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any] | None = None,
        *,
        domain: str = "",
    ) -> ir.Value:
        """Add a node in front of a product and return its output."""
        node = ir.node(op_type, inputs, attributes, domain=domain, name=f"{product.name}/{purpose}")
        node.outputs[0].name = node.name
        self._graph.insert_before(product, node)
        return node.outputs[0]

    def constant(self, name: str, content: NDArray[Any]) -> ir.Value:
        """Return the initializer of that name, made of `content` where there is none."""
        if name not in self._graph.initializers:
            self._graph.register_initializer(constant(name, content))
        return self._graph.initializers[name]

    def replace(self, product: ir.Node, result: ir.Value) -> None:
        """Let `result` be read in the place of what the product gave, and remove the product."""
        result.type = product.outputs[0].type
        product.outputs[0].replace_all_uses_with(result, replace_graph_outputs=True)
        self._graph.remove(product, safe=True)
