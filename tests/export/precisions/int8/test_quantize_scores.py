"""Laws: scores of two activations agree, and a scale that is multiplied later is multiplied once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from sewd_export.precisions import int8
from sewd_export.precisions.int8.quantize_scores import QuantizeScores
from sewd_export.precisions.int8.scale_later import ScaleLater

HEADS, TOKENS, HEAD = 2, 7, 32
ROWS = 2 * TOKENS - 1
FLOATS = ir.TensorType(ir.DataType.FLOAT)


class Graph:
    """Adds nodes one after the other; a string is the operator, what follows its inputs."""

    def __init__(self) -> None:
        self.nodes: list[ir.Node] = []
        self.initializers: list[ir.Value] = []
        self.inputs: list[ir.Value] = []

    def input(self, name: str) -> ir.Value:
        shape = ir.Shape(["batch", HEADS, "tokens", HEAD])
        self.inputs.append(ir.Value(name=name, type=FLOATS, shape=shape))
        return self.inputs[-1]

    def constant(self, name: str, content: np.ndarray[Any, Any]) -> ir.Value:
        tensor = ir.tensor(content, name=name)
        self.initializers.append(ir.Value(name=name, const_value=tensor, type=ir.TensorType(tensor.dtype)))
        return self.initializers[-1]

    def add(self, name: str, op_type: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
        self.nodes.append(ir.node(op_type, inputs, attributes, name=name))
        [output] = self.nodes[-1].outputs
        output.name, output.type = name, FLOATS
        return output

    def model(self, *outputs: ir.Value) -> ir.Model:
        opsets = {"": 21, "com.microsoft": 1}
        graph = ir.Graph(
            self.inputs,
            outputs,
            nodes=self.nodes,
            initializers=self.initializers,
            opset_imports=opsets,
            name="g",
        )
        return ir.Model(graph, ir_version=10)


def tables() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the position table and the row of each pair of tokens."""
    table = np.random.default_rng(3).standard_normal((HEADS, HEAD, ROWS), dtype=np.float32)
    token = np.arange(TOKENS)
    rows = np.broadcast_to(token[:, None] - token + TOKENS - 1, (2, HEADS, TOKENS, TOKENS))
    return table, np.ascontiguousarray(rows)


def scores(*, swap: Sequence[int] = (0, 1, 3, 2), positions: bool = True, shared: bool = False) -> ir.Model:
    """Disentangled attention's scores, k moved by `swap`; with `shared`, others read a position product."""
    graph = Graph()
    query, key = graph.input("query"), graph.input("key")
    total = graph.add("content", "MatMul", query, graph.add("moved", "Transpose", key, perm=swap))
    outputs = []
    if positions:
        content, rows = tables()
        table, index = graph.constant("table", content), graph.constant("index", rows)
        turned = graph.constant("turned", np.ascontiguousarray(rows.swapaxes(2, 3)))
        by_query = graph.add("by_query", "MatMul", query, table)
        by_key = graph.add("by_key", "MatMul", key, table)
        first = graph.add("first", "GatherElements", by_query, index, axis=-1)
        second = graph.add("second", "GatherElements", by_key, turned, axis=-1)
        total = graph.add("content_and_first", "Add", total, first)
        total = graph.add("total", "Add", total, graph.add("back", "Transpose", second, perm=[0, 1, 3, 2]))
        outputs = [graph.add("other", "Abs", by_query)] if shared else []
    return graph.model(graph.add("scores", "Neg", total), *outputs)


def run(model: ir.Model, **inputs: Any) -> list[Any]:
    content = ir.to_proto(model).SerializeToString()
    return list(onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, inputs))


def kinds(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def activations() -> dict[str, Any]:
    random = np.random.default_rng(5)
    shape = (2, HEADS, TOKENS, HEAD)
    return {name: random.standard_normal(shape, dtype=np.float32) for name in ("query", "key")}


def test_scores_run_in_8_bits_and_agree() -> None:
    original = scores()
    model = int8.convert(original)
    assert "MatMul" not in kinds(model)
    assert kinds(model).count("MatMulIntegerToFloat") == 3
    expected, found = (run(one, **activations())[0] for one in (original, model))
    assert np.linalg.norm(found - expected) < 0.01 * np.linalg.norm(expected)


def test_scales_are_multiplied_last_and_once() -> None:
    model = int8.convert(scores())
    products = [node for node in model.graph if node.op_type == "MatMulIntegerToFloat"]
    assert all(reader.op_type != "Mul" for node in products for reader in node.outputs[0].consumers())
    multiplied = [
        node.inputs[0] for node in model.graph if node.op_type == "Mul" and node.name.endswith("/scaled")
    ]
    assert [value.producer().op_type for value in multiplied if value is not None] == ["Add", "Transpose"]  # type: ignore[union-attr]
    assert not ScaleLater()(model).modified
    assert not QuantizeScores()(model).modified


def test_a_loud_row_leaves_the_others_alone() -> None:
    model = int8.convert(scores())
    quiet, loud = activations(), activations()
    loud["query"][0, 0, 3] *= 1e4
    loud["key"][0, 1, 2] *= 1e4
    found, expected = (run(model, **inputs)[0] for inputs in (loud, quiet))
    np.testing.assert_array_equal(np.delete(found[0, 0], 3, 0), np.delete(expected[0, 0], 3, 0))
    np.testing.assert_array_equal(np.delete(found[0, 1], 2, 1), np.delete(expected[0, 1], 2, 1))


@pytest.mark.parametrize(
    ("model", "keep"),
    [
        (scores(positions=False), ()),  # nobody has quantized the rows
        (scores(), {"by_query"}),
        (scores(), {"by_key"}),
    ],
)
def test_scores_stay_where_rows_are_not_quantized(model: ir.Model, keep: Any) -> None:
    converted = int8.convert(model, keep=keep)
    assert "content" in {node.name for node in converted.graph}
    expected, found = (run(one, **activations())[0] for one in (model, converted))
    assert np.linalg.norm(found - expected) < 0.01 * np.linalg.norm(expected)


def test_another_move_of_the_keys_stays() -> None:
    converted = int8.convert(scores(swap=(0, 1, 2, 3)))
    assert "content" in {node.name for node in converted.graph}


def test_a_scaled_value_that_others_read_stays_scaled() -> None:
    original = scores(shared=True)
    converted = int8.convert(original)
    assert "first" in {node.name for node in converted.graph}
    for expected, found in zip(*(run(one, **activations()) for one in (original, converted)), strict=True):
        assert np.linalg.norm(found - expected) < 0.01 * np.linalg.norm(expected)


def test_other_factors_stay() -> None:
    graph = Graph()
    query = graph.input("query")
    factor = graph.constant("factor", np.array(2, np.float32))
    doubled = graph.add("doubled", "Mul", query, factor)
    model = graph.model(graph.add("moved", "Transpose", doubled, perm=[0, 1, 3, 2]))
    assert not ScaleLater()(model).modified
