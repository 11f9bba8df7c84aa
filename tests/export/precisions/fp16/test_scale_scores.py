"""Law: scores are computed smaller and made large again, exactly; or left alone."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from sewd_export.precisions.fp16.scale_scores import ScaleScores

FLOAT = ir.TensorType(ir.DataType.FLOAT)


def attention(kind: str = "") -> ir.Model:
    """y = Softmax(q·kᵀ + q·K + mask), with one thing different where asked."""
    q, k, mask = (ir.Value(name=name, type=FLOAT, shape=ir.Shape([3, 3])) for name in ("q", "k", "mask"))
    table = ir.Value(
        name="K",
        const_value=ir.tensor(np.eye(3, dtype=np.float32), name="K"),
        type=FLOAT,
        shape=ir.Shape([3, 3]),
    )
    nodes: list[ir.Node] = []

    def add(op: str, *inputs: ir.Value) -> ir.Value:
        node = ir.node(op, list(inputs), name=f"{op}_{len(nodes)}")
        node.outputs[0].name, node.outputs[0].type = node.name, FLOAT
        nodes.append(node)
        return node.outputs[0]

    query = add("Relu", q)
    products = [add("MatMul", query, add("Transpose", k)), add("Transpose", add("MatMul", query, table))]
    if kind in ("one product", "no product"):
        products[1] = add("Tanh", products[1])
    if kind == "no product":
        products[0] = add("Tanh", products[0])
    scores = add("Add", *products)
    masked = scores if kind == "no mask" else add("Add", mask, scores)
    y = add("Softmax", masked)
    y.name, y.shape = "y", ir.Shape([3, 3])
    outputs = [y]
    if kind == "read by others":
        outputs.append(add("Neg", scores))
        outputs[1].name, outputs[1].shape = "z", ir.Shape([3, 3])
    graph = ir.Graph(
        [q, k, mask], outputs, nodes=nodes, initializers=[table], opset_imports={"": 20}, name="attention"
    )
    return ir.Model(graph, ir_version=10)


def run(model: ir.Model) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    inputs = {name: random.standard_normal((3, 3), dtype=np.float32) for name in ("q", "k", "mask")}
    content = ir.to_proto(model).SerializeToString()
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, inputs)


def products(model: ir.Model) -> list[ir.Node]:
    return [node for node in model.graph if node.op_type == "MatMul"]


@pytest.mark.parametrize("kind", ["", "no mask"])
def test_scores_are_computed_smaller_and_come_out_the_same(kind: str) -> None:
    model = attention(kind)
    before = run(model)
    assert ScaleScores()(model).modified
    first, second = products(model)
    assert [value.producer() and value.producer().op_type for value in first.inputs] == ["Mul", "Transpose"]
    assert second.inputs[1].const_value.numpy().max() == 1 / 64  # a constant takes the factor
    assert "K" not in model.graph.initializers
    np.testing.assert_array_equal(run(model)[0], before[0])
    assert not ScaleScores()(model).modified


def test_what_is_no_product_is_added_as_it_is() -> None:
    model = attention("one product")
    before = run(model)
    assert ScaleScores()(model).modified
    assert list(model.graph.initializers["K"].const_value.numpy().ravel()[:2]) == [1, 0]
    np.testing.assert_array_equal(run(model)[0], before[0])


@pytest.mark.parametrize("kind", ["no product", "read by others"])
def test_anything_else_is_left_alone(kind: str) -> None:
    model = attention(kind)
    assert not ScaleScores()(model).modified
    assert [node.op_type for node in model.graph].count("Mul") == 0
