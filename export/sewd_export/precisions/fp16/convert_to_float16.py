"""Convert nodes to float16, with Casts between them and the others."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from sewd_export.constants import constant, initializer
from sewd_export.errors import TraceError
from sewd_export.precisions.fp16.choose_float16_nodes import float16_nodes
from sewd_export.precisions.roles import MATMULS, unbounded_values

_FLOAT, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16
_LARGEST_KEPT = 6e4  # limit of unbounded values; leaves room for a bias


class ConvertToFloat16(ir.passes.InPlacePass):
    """float32 graph → the same graph with `float16_nodes` in float16 and Casts between.

    A value is cast once for all its readers; weights are stored in the type in which they are read.

    After a layer norm values are bounded by the weights, whatever the audio, so parity at export covers it.
    Before the first they are not: a click in a minute of silence is 900 standard deviations, speech 10 to 25.
    Casts and matmuls there are clipped to ±60000, so that neither inf nor the NaN after it appears.

    Declines a graph that has float16 already.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Convert in place."""
        graph = model.graph
        values = [value for node in graph for value in node.outputs]
        untyped = [str(value.name) for value in values if value.dtype is None]
        if untyped:
            raise TraceError(f"float16 needs the type of every value; {', '.join(untyped)} have none")
        if any(value.dtype == _HALF for value in (*values, *graph.initializers.values())):
            return ir.passes.PassResult(model, modified=False)
        chosen = float16_nodes(graph)
        rewriting = _Rewriting(graph=graph, unbounded=unbounded_values(graph))
        nodes = list(graph)
        for node in nodes:
            rewriting.retype(node, _HALF if node in chosen else _FLOAT)
        for node in nodes:
            if node in chosen and node.op_type in MATMULS and node.outputs[0] in rewriting.unbounded:
                rewriting.clip_matmul(node.outputs[0])
        rewriting.finish()
        return ir.passes.PassResult(model, modified=bool(chosen))


@dataclass(kw_only=True, slots=True)
class _Rewriting:
    """A graph that is being converted.

    unbounded: values that a recording can make arbitrarily large. casts, constants: made so far, by what they
    replace.
    """

    graph: ir.Graph
    unbounded: set[ir.Value]
    casts: dict[tuple[ir.Value, ir.DataType], ir.Value] = field(default_factory=dict)
    constants: dict[ir.Value, ir.Value] = field(default_factory=dict)

    def retype(self, node: ir.Node, dtype: ir.DataType) -> None:
        """Make a node read and return floats as `dtype`; the nodes before it have been retyped."""
        for position, value in enumerate(node.inputs):
            if value is None or value.dtype not in (_FLOAT, _HALF) or value.dtype == dtype:
                continue
            is_constant = value.const_value is not None
            retyped = self._constant(value) if is_constant else self._cast(value, dtype)
            node.replace_input_with(position, retyped)
        for value in node.outputs:
            if value.dtype == _FLOAT:
                value.type = ir.TensorType(dtype)  # its own: values may share a type object

    def clip(self, value: ir.Value) -> ir.Value:
        """Return a value clipped to the range of float16, for later readers."""
        limits = [self._limit(sign * _LARGEST_KEPT, value.dtype) for sign in (-1, 1)]
        return self._insert_after(value, ir.node("Clip", [value, *limits]), "clipped", value.dtype)

    def clip_matmul(self, value: ir.Value) -> None:
        """Make the readers of an unbounded matmul read it clipped to the range of float16."""
        uses = list(value.uses())
        clipped = self.clip(value)
        for use in uses:
            use.node.replace_input_with(use.idx, clipped)

    def finish(self) -> None:
        """Give the outputs float32 and their old names, and the weights theirs."""
        for position, output in enumerate(self.graph.outputs):
            if output.dtype == _HALF:
                name, output.name = output.name, f"{output.name}:float16"
                self.graph.outputs[position] = self._cast(output, _FLOAT)
                self.graph.outputs[position].name = name
        for single, half in self.constants.items():
            half.name = f"{single.name}:float16"
            if not single.uses():
                half.name = single.name
                del self.graph.initializers[str(single.name)]
            self.graph.register_initializer(half)

    def _constant(self, value: ir.Value) -> ir.Value:
        if value not in self.constants:
            assert value.const_value is not None
            half = value.const_value.numpy().astype(np.float16)
            self.constants[value] = constant(str(value.name), half)
        return self.constants[value]

    def _limit(self, limit: float, dtype: ir.DataType | None) -> ir.Value:
        name = f"{limit:g}" if dtype == _FLOAT else f"{limit:g}:float16"
        kind = np.float32 if dtype == _FLOAT else np.float16
        return initializer(self.graph, name, np.array(limit, kind))

    def _cast(self, value: ir.Value, dtype: ir.DataType) -> ir.Value:
        if (value, dtype) not in self.casts:
            source = self.clip(value) if dtype == _HALF and value in self.unbounded else value
            node = ir.node("Cast", [source], {"to": dtype})
            self.casts[value, dtype] = self._insert_after(source, node, dtype.name.lower(), dtype)
        return self.casts[value, dtype]

    def _insert_after(
        self, value: ir.Value, node: ir.Node, suffix: str, dtype: ir.DataType | None
    ) -> ir.Value:
        [result] = node.outputs
        node.name = result.name = f"{value.name}:{suffix}"
        result.type, result.shape = None if dtype is None else ir.TensorType(dtype), value.shape
        producer = value.producer()
        assert producer is not None  # only inputs have none, and they are read as float32
        self.graph.insert_after(producer, node)
        return result
