"""Mixed float16, for CUDA and TensorRT.

Products with their biases, activations and what moves their results compute in float16, weights included.
Float32 stay the waveform up to the first activation (its statistics, its level), layer norms and the sums
that feed them, reductions, softmax, the product that makes the output, and every operator not named here.

A layer norm could take float16 and compute in float32 (`stash_type`), but engines differ in what they make
of that: onnxruntime's CUDA kernel for a sum and its norm added up squares in float16 until 2026 (its pull
request 28682), and DirectML ignored `stash_type` (its issue 17692). A Cast on each side leaves no choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.constants import constant
from sewd_export.errors import TraceError
from sewd_export.precisions.fp16.scale_scores import ScaleScores
from sewd_export.precisions.roles import (
    ACTIVATIONS,
    MOVES,
    PRODUCTS,
    data,
    is_activation,
    output_products,
    unbounded,
)

_FLOAT, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16
_LARGEST = 65504.0
_LARGEST_KEPT = 6e4  # where nothing else bounds a value; leaves room for a bias


def convert(model: ir.Model) -> ir.Model:
    """Return a mixed float16 copy of an optimised float32 model; inputs and outputs stay float32.

    Raises TraceError for a value without a type.
    """
    half = model.clone()
    half.graph.sort()
    for step in (ScaleScores(), ConvertToFloat16()):
        step(half)
    return half


class ConvertToFloat16(ir.passes.InPlacePass):
    """float32 graph → the same graph with the nodes of `float16_nodes` in float16 and Casts between.

    A value is cast once for all its readers; weights are stored as they are read.

    Behind a layer norm values are bounded by the weights, whatever is said, and parity at export tells.
    Before the first they are not: a click in a minute of silence is 900 standard deviations, where speech is
    10 to 25. What is cast or multiplied there is clipped to ±60000, so that no inf appears, nor the NaN that
    follows.

    Declines a graph that holds float16 already.
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
        rewriting = _Rewriting(graph=graph, unbounded=unbounded(graph))
        nodes = list(graph)
        for node in nodes:
            rewriting.retype(node, _HALF if node in chosen else _FLOAT)
        for node in nodes:
            if node in chosen and node.op_type in PRODUCTS and node.outputs[0] in rewriting.unbounded:
                rewriting.clip_product(node.outputs[0])
        rewriting.finish()
        return ir.passes.PassResult(model, modified=bool(chosen))


def float16_nodes(graph: ir.Graph) -> set[ir.Node]:
    """Return the nodes that compute in float16, of a sorted float32 graph."""
    waveform, last = _waveform(graph), output_products(graph)
    chosen: set[ir.Node] = set()
    for node in graph:
        inputs = data(node)
        follows = bool(inputs) and all(value.producer() in chosen for value in inputs)
        is_product = node.op_type in PRODUCTS and node not in last and waveform.isdisjoint(inputs)
        if _fits(node) and (is_product or (follows and _may_follow(node))):
            chosen.add(node)
    for node in reversed(graph):  # rounding before a move or an activation lets it run in float16 too
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
    """Tell whether a node gives float16 for float16: a Mul where it neither rounds nor overflows."""
    if node.op_type == "Mul":
        factors = _constants(node)
        factor = factors[0].item() if len(factors) == 1 and factors[0].size == 1 else 0
        return 0 < factor <= 1 and math.log2(factor).is_integer()
    return node.op_type in MOVES | ACTIVATIONS | {"Add"}


def _waveform(graph: ir.Graph) -> set[ir.Value]:
    """Return what is computed from the samples before the first activation."""
    found = {value for value in graph.inputs if value.dtype == _FLOAT}
    for node in graph:
        if not found.isdisjoint(data(node)) and not is_activation(node):
            found.update(value for value in node.outputs if value.dtype == _FLOAT)
    return found


@dataclass(kw_only=True, slots=True)
class _Rewriting:
    """A graph on its way to float16.

    unbounded: values of which a recording may make anything. casts, constants: what was made so far.
    """

    graph: ir.Graph
    unbounded: set[ir.Value]
    casts: dict[tuple[ir.Value, ir.DataType], ir.Value] = field(default_factory=dict)
    constants: dict[ir.Value, ir.Value] = field(default_factory=dict)

    def retype(self, node: ir.Node, dtype: ir.DataType) -> None:
        """Let a node read and give `dtype` for floats; the nodes before it have been retyped."""
        for position, value in enumerate(node.inputs):
            if value is None or value.dtype not in (_FLOAT, _HALF) or value.dtype == dtype:
                continue
            found = self._constant(value) if value.const_value is not None else self._cast(value, dtype)
            node.replace_input_with(position, found)
        for value in node.outputs:
            if value.dtype == _FLOAT:
                value.type = ir.TensorType(dtype)  # its own: values may share a type object

    def clip(self, value: ir.Value) -> ir.Value:
        """Return a value within float16, for whoever reads it from now on."""
        limits = [self._limit(sign * _LARGEST_KEPT, value.dtype) for sign in (-1, 1)]
        return self._insert_after(value, ir.node("Clip", [value, *limits]), "clipped", value.dtype)

    def clip_product(self, value: ir.Value) -> None:
        """Let the readers of an unbounded product read it within float16."""
        uses = list(value.uses())
        clipped = self.clip(value)
        for use in uses:
            use.node.replace_input_with(use.idx, clipped)

    def finish(self) -> None:
        """Let the outputs be float32 under their names, and the weights have theirs."""
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
        if name not in self.graph.initializers:
            kind = np.float32 if dtype == _FLOAT else np.float16
            self.graph.register_initializer(constant(name, np.array(limit, kind)))
        return self.graph.initializers[name]

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
        assert producer is not None  # the inputs are float32, and read so
        self.graph.insert_after(producer, node)
        return result
