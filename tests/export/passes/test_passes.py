"""Law: a pass preserves the outputs, reports truly whether it changed anything, and changes nothing twice."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx_ir.passes import Sequential
from onnx_ir.passes.common import RemoveUnusedNodesPass

from sewd_export.passes import PIPELINE, DivideCounts, InferReshapeAxes, NameByModule, NarrowIndices, optimize

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


def reshaping(before: list[Any], after: list[Any], *, constant: list[int] | None = None) -> ir.Model:
    """y = Reshape(x, shape) with such shapes; the shape is an input unless it is constant."""
    float32, int64 = ir.TensorType(ir.DataType.FLOAT), ir.TensorType(ir.DataType.INT64)
    x = ir.Value(name="x", type=float32, shape=ir.Shape(before))
    shape = ir.Value(name="shape", type=int64, shape=ir.Shape([len(after)]))
    if constant is not None:
        shape.const_value = ir.tensor(np.array(constant), name="shape")
    reshape = ir.node("Reshape", [x, shape], {"allowzero": 1}, name="reshape")
    y = reshape.outputs[0]
    y.name, y.type, y.shape = "y", float32, ir.Shape(after)
    inputs, initializers = ([x, shape], []) if constant is None else ([x], [shape])
    graph = ir.Graph(
        inputs, [y], nodes=[reshape], initializers=initializers, opset_imports={"": 20}, name="r"
    )
    return ir.Model(graph, ir_version=10)


@pytest.mark.parametrize(
    ("before", "after", "sizes", "axes"),
    [
        (["b", "t", 6], ["b", "2*t", 3], [2, 10, 3], [0, -1, 3]),
        (["b", "t", 6], ["b", "t", 2, 3], [2, 5, 2, 3], [0, 0, 2, 3]),
        (["b", 6], [3, "2*b"], [3, 4], [3, -1]),
        (["b", "t"], ["b*t"], [10], [-1]),
    ],
)
def test_a_free_axis_is_inferred(
    before: list[Any], after: list[Any], sizes: list[int], axes: list[int]
) -> None:
    model = reshaping(before, after)
    known = {"b": 2, "t": 5}
    x = np.random.default_rng(1).standard_normal([known.get(size, size) for size in before], dtype=np.float32)
    expected = run(model, {"x": x, "shape": np.array(sizes)})
    assert InferReshapeAxes()(model).modified
    assert model.graph.initializers[model.graph.node(0).inputs[1].name].const_value.numpy().tolist() == axes
    np.testing.assert_array_equal(
        run(model, {"x": x, "shape": np.array(sizes)} if len(model.graph.inputs) == 2 else {"x": x}), expected
    )
    assert not InferReshapeAxes()(model).modified


@pytest.mark.parametrize(
    ("before", "after", "constant"),
    [
        (["b", "t", 6], ["t", "b", 6], None),  # two free axes
        (["b", "t"], ["b", "t", 0], None),  # a zero would hide the rest
        (["b", None], [None, "b"], None),  # nothing is known
        (["b", "t", 6], ["b", "2*t", 3], [2, -1, 3]),  # said already
    ],
)
def test_a_shape_that_says_too_little_stays(
    before: list[Any], after: list[Any], constant: list[int] | None
) -> None:
    assert not InferReshapeAxes()(reshaping(before, after, constant=constant)).modified


def dividing(lowest: int | None) -> ir.Model:
    """y = the floor of (clip(x) / 3) / 2 as torch writes it; without `lowest` there is no clip."""
    int64, boolean = ir.DataType.INT64, ir.DataType.BOOL
    x = ir.Value(name="x", type=ir.TensorType(int64), shape=ir.Shape(["batch"]))
    numbers = {
        name: ir.Value(name=name, const_value=ir.tensor(np.array(content), name=name))
        for name, content in {"zero": 0, "two": 2, "three": 3, "true": True, "lowest": lowest or 0}.items()
    }
    nodes: list[ir.Node] = []

    def add(op_type: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
        nodes.append(ir.node(op_type, inputs, attributes, name=f"{op_type}_{len(nodes)}"))
        nodes[-1].outputs[0].name = nodes[-1].name
        return nodes[-1].outputs[0]

    def floor_divide(a: ir.Value, n: ir.Value) -> ir.Value:
        is_negative = add("Equal", add("Less", a, numbers["zero"]), numbers["true"])
        has_rest = add("Cast", add("Mod", a, n, fmod=0), to=boolean)
        return add("Sub", add("Div", a, n), add("Cast", add("And", is_negative, has_rest), to=int64))

    count = x if lowest is None else add("Clip", x, numbers["lowest"])
    y = floor_divide(floor_divide(count, numbers["three"]), numbers["two"])
    y.type, y.shape = ir.TensorType(int64), ir.Shape(["batch"])
    graph = ir.Graph(
        [x], [y], nodes=nodes, initializers=numbers.values(), opset_imports={"": 20}, name="dividing"
    )
    return ir.Model(graph, ir_version=10)


@pytest.mark.parametrize("lowest", [0, 5])
def test_a_count_is_divided_in_one_node(lowest: int) -> None:
    model = dividing(lowest)
    x = np.arange(-20, 20)
    before = run(model, {"x": x})
    assert DivideCounts()(model).modified
    RemoveUnusedNodesPass()(model)
    assert [node.op_type for node in model.graph] == ["Clip", "Div", "Div"]
    np.testing.assert_array_equal(run(model, {"x": x}), before)
    assert not DivideCounts()(model).modified


@pytest.mark.parametrize("lowest", [None, -1])
def test_what_may_be_negative_is_floored(lowest: int | None) -> None:
    assert not DivideCounts()(dividing(lowest)).modified
