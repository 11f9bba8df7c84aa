"""Law: a pass preserves the outputs, tells truly whether it changed anything, and changes nothing twice."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx_ir.passes import Sequential

from sewd_export.passes import PIPELINE, NameByModule, NarrowIndices, optimize

SCOPES = "pkg.torch.onnx.name_scopes"
UNSCOPED = "_empty_nn_module_stack_from_metadata_hook"


def run(model: ir.Model, inputs: dict[str, Any]) -> list[Any]:
    content = ir.to_proto(model).SerializeToString()
    return list(onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, inputs))


def small(scopes: list[str | None]) -> ir.Model:
    """y = ((x · w) · w) + x, its three nodes with these scopes."""
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(["batch", 3]))
    w = ir.Value(name="w", const_value=ir.tensor(np.arange(9, dtype=np.float32).reshape(3, 3), name="w"))
    nodes = [
        ir.node("MatMul", [x, w], name="node_MatMul_1"),
        ir.node("MatMul", [], name="node_MatMul_2"),
        ir.node("Add", [], name="node_Add_3"),
    ]
    nodes[1] = ir.node("MatMul", [nodes[0].outputs[0], w], name="node_MatMul_2")
    nodes[2] = ir.node("Add", [nodes[1].outputs[0], x], name="node_Add_3")
    for node, scope in zip(nodes, scopes, strict=True):
        node.outputs[0].name = f"val_{node.name}"
        if scope is not None:
            node.metadata_props[SCOPES] = scope
    y = nodes[2].outputs[0]
    y.name, y.type, y.shape = "y", ir.TensorType(ir.DataType.FLOAT), ir.Shape(["batch", 3])
    nodes[0].outputs[0].shape = ir.Shape(["s0*2 - s0", 3])
    graph = ir.Graph([x], [y], nodes=nodes, initializers=[w], opset_imports={"": 20}, name="small")
    return ir.Model(graph, ir_version=10)


def scope(*modules: str) -> str:
    return repr(["", *modules, "operation"])


def names(model: ir.Model) -> list[str | None]:
    return [node.name for node in model.graph]


def test_nodes_are_named_by_their_module() -> None:
    inner = scope("sew_d", "sew_d.layers.3", "sew_d.layers.3.attention")
    model = small([inner, inner, scope("lm_head")])
    assert NameByModule()(model).modified
    assert names(model) == ["layers.3.attention/MatMul", "layers.3.attention/MatMul_1", "lm_head/Add"]
    values = [node.outputs[0] for node in model.graph]
    assert [value.name for value in values] == [*names(model)[:2], "y"]  # the interface keeps its names
    assert values[0].shape is None
    assert model.graph.inputs[0].name == "x"
    assert list(model.graph.initializers) == ["w"]


@pytest.mark.parametrize(
    ("where", "name"),
    [(scope("sew_d"), "model/MatMul"), ("['']", "model/MatMul"), (scope(UNSCOPED), "sizes/MatMul")],
)
def test_what_no_module_made_has_a_name_too(where: str, name: str) -> None:
    model = small([where, None, None])
    NameByModule()(model)
    assert names(model)[0] == name


def test_nodes_without_scopes_keep_their_names() -> None:
    model = small([None, None, None])
    before = names(model)
    assert not NameByModule()(model).modified
    assert names(model) == before
    mixed = small([None, scope("lm_head"), None])
    assert NameByModule()(mixed).modified
    assert names(mixed) == [before[0], "lm_head/MatMul", before[2]]
    assert mixed.graph.node(0).outputs[0].name == "val_node_MatMul_1"


def test_naming_agrees_numerically_and_is_done_once() -> None:
    inputs = {"x": np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)}
    model = small([scope("a"), scope("a"), scope("b")])
    before = run(model, inputs)
    NameByModule()(model)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    np.testing.assert_array_equal(run(model, inputs), before)
    assert not NameByModule()(model).modified


# The pipeline.


def assert_same_outputs(model: ir.Model, expected: list[Any], inputs: dict[str, Any]) -> None:
    logits, lengths = run(model, inputs)
    np.testing.assert_array_equal(lengths, expected[1])
    for item, before, length in zip(logits, expected[0], lengths, strict=True):
        np.testing.assert_allclose(item[:length], before[:length], rtol=0, atol=1e-5)


def test_every_pass_preserves_the_outputs_and_is_done_once(traced: ir.Model, ragged: dict[str, Any]) -> None:
    model = copy_of(traced)
    expected = run(model, ragged)
    for step in PIPELINE:
        model = step(model).model
        assert_same_outputs(model, expected, ragged)
        assert not step(model).modified, type(step).__name__
    assert not Sequential(*PIPELINE)(model).modified


def test_the_pipeline_leaves_a_graph_without_idle_nodes(traced: ir.Model, ragged: dict[str, Any]) -> None:
    expected = run(traced, ragged)
    model = optimize(copy_of(traced))
    assert_same_outputs(model, expected, ragged)
    assert not {node.op_type for node in model.graph} & {"Identity", "Constant", "Dropout"}
    assert len(set(names(model))) == len(names(model))
    assert "layers.1.attention.scores/MatMul" in names(model)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)


def copy_of(model: ir.Model) -> ir.Model:
    return ir.from_proto(copy.deepcopy(ir.to_proto(model)))


def gathering(*, index_is_output: bool = False, other_reader: bool = False) -> ir.Model:
    """y = GatherElements(x, Expand(index, shape)), the expanded index read by others where asked."""
    int64, float32 = (ir.TensorType(kind) for kind in (ir.DataType.INT64, ir.DataType.FLOAT))
    x = ir.Value(name="x", type=float32, shape=ir.Shape([2, 3, 5]))
    index = ir.Value(name="index", type=int64, shape=ir.Shape([3, 3]))
    shape = ir.Value(name="shape", const_value=ir.tensor(np.array([2, 3, 3]), name="shape"))
    expand = ir.node("Expand", [index, shape], name="expand")
    repeated = expand.outputs[0]
    repeated.name, repeated.type, repeated.shape = "repeated", int64, ir.Shape([2, 3, 3])
    gather = ir.node("GatherElements", [x, repeated], {"axis": 2}, name="gather")
    y = gather.outputs[0]
    y.name, y.type, y.shape = "y", float32, ir.Shape([2, 3, 3])
    nodes, outputs = [expand, gather], [y]
    if other_reader:
        twice = ir.node("Add", [repeated, repeated], name="twice")
        twice.outputs[0].name, twice.outputs[0].type, twice.outputs[0].shape = "t", int64, repeated.shape
        nodes.append(twice)
        outputs.append(twice.outputs[0])
    if index_is_output:
        outputs.append(repeated)
    graph = ir.Graph(
        [x, index], outputs, nodes=nodes, initializers=[shape], opset_imports={"": 20}, name="gathering"
    )
    return ir.Model(graph, ir_version=10)


def test_a_repeated_index_becomes_int32_and_gathers_the_same() -> None:
    model = gathering()
    random = np.random.default_rng(3)
    inputs = {
        "x": random.standard_normal((2, 3, 5), dtype=np.float32),
        "index": random.integers(0, 5, (3, 3)),
    }
    before = run(model, inputs)
    assert NarrowIndices()(model).modified
    assert [node.op_type for node in model.graph] == ["Cast", "Expand", "GatherElements"]
    np.testing.assert_array_equal(run(model, inputs)[0], before[0])
    assert not NarrowIndices()(model).modified


@pytest.mark.parametrize("reader", [{"other_reader": True}, {"index_is_output": True}])
def test_an_index_that_others_read_stays(reader: dict[str, bool]) -> None:
    model = gathering(**reader)
    assert not NarrowIndices()(model).modified
    assert [node.op_type for node in model.graph].count("Cast") == 0
