"""Replace a node by several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.constants import initializer


class NodeWriter:
    """Adds nodes in front of an old node, named after it and their purpose, and finally replaces it."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph

    def add(
        self,
        old: ir.Node,
        purpose: str,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any] | None = None,
        *,
        domain: str = "",
    ) -> ir.Value:
        """Add a node in front of the old one and return its output."""
        node = ir.node(op_type, inputs, attributes, domain=domain, name=f"{old.name}/{purpose}")
        node.outputs[0].name = node.name
        self._graph.insert_before(old, node)
        return node.outputs[0]

    def constant(self, name: str, content: NDArray[Any]) -> ir.Value:
        """Return the initializer of that name; if there is none, make it from `content`."""
        return initializer(self._graph, name, content)

    def replace(self, old: ir.Node, result: ir.Value) -> None:
        """Let `result` be read instead of the old node's output, and remove the old node."""
        result.type = old.outputs[0].type
        old.outputs[0].replace_all_uses_with(result, replace_graph_outputs=True)
        self._graph.remove(old, safe=True)
