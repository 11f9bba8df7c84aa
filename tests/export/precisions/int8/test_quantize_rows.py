"""Laws: rows are scaled one by one, so no row sees another; what is rounded is rounded by half a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sewd_export.precisions import int8
from sewd_export.precisions.int8.quantize_rows import QuantizeRows
from sewd_export.precisions.int8_weights import quantize_columns

DEPTH, WIDTH = 48, 20


def run(model: ir.Model, **inputs: Any) -> list[Any]:
    content = ir.to_proto(model).SerializeToString()
    return list(onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, inputs))


def weight(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(7).standard_normal(shape, dtype=np.float32)


def product(
    content: np.ndarray[Any, Any],
    *,
    constant: bool = True,
    twice: bool = False,
    columns: int | None = None,
    activated: bool = False,
    normalised: bool = False,
    activation: str = "Relu",
) -> ir.Model:
    """y = -(x · w), w constant or an input; with `twice` z is the same, with `columns` w is cut to so many.

    With `activated`, x is relu(x) first, or another activation of it; with `normalised` x is that first.
    """
    floats = ir.TensorType(ir.DataType.FLOAT)
    x = ir.Value(name="x", type=floats, shape=ir.Shape(["batch", "rows", content.shape[-2]]))
    w = ir.Value(name="w", type=floats, shape=ir.Shape(content.shape))
    if constant:
        w.const_value = ir.tensor(content, name="w")
    initializers, nodes, right = [w] if constant else [], [], w
    if columns is not None:
        bounds = [
            ir.Value(name=name, const_value=ir.tensor(np.array([value]), name=name))
            for name, value in (("start", 1), ("end", 1 + columns), ("axis", -1))
        ]
        nodes.append(ir.node("Slice", [w, *bounds], name="cut"))
        initializers += bounds
        right = nodes[-1].outputs[0]
        right.name = "columns"
    left = x
    if normalised:
        ones = ir.Value(
            name="ones", const_value=ir.tensor(np.ones(content.shape[-2], np.float32), name="ones")
        )
        initializers.append(ones)
        nodes.append(ir.node("LayerNormalization", [x, ones], name="norm"))
        left = nodes[-1].outputs[0]
        left.name, left.type = "normalised", floats
    if activated:
        nodes.append(ir.node(activation, [left], name="activation"))
        left = nodes[-1].outputs[0]
        left.name, left.type = "activated", floats
    for name in ("y", "z") if twice else ("y",):
        product = ir.node("MatMul", [left, right], name=name)
        product.outputs[0].name, product.outputs[0].type = f"{name}_product", floats
        nodes += [product, ir.node("Neg", product.outputs, name=f"{name}_negated")]
    outputs = [node.outputs[0] for node in nodes if node.op_type == "Neg"]
    for output, name in zip(outputs, "yz", strict=False):
        output.name, output.type = name, floats
    inputs = [x] if constant else [x, w]
    graph = ir.Graph(
        inputs, outputs, nodes=nodes, initializers=initializers, opset_imports={"": 20}, name="g"
    )
    return ir.Model(graph, ir_version=10)


def kinds(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def relative(found: Any, expected: Any) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_columns_are_rounded_by_at_most_half_a_step(depth: int, width: int, seed: int) -> None:
    content = np.random.default_rng(seed).standard_normal((2, depth, width)).astype(np.float32)
    content[..., 0] = 0  # a column of zeros has a scale all the same
    values, scale = quantize_columns(content)
    assert values.dtype == np.int8 and scale.shape == (2, 1, width) and np.all(scale > 0)
    assert np.abs(values).max() <= 127
    assert np.all(np.abs(values * scale - content) <= 0.5001 * scale)


def test_a_product_runs_in_8_bits_and_agrees() -> None:
    content, x = weight(DEPTH, WIDTH), weight(3, 31, DEPTH)
    model = int8.convert(product(content))
    assert "MatMul" not in kinds(model)
    assert "MatMulIntegerToFloat" in kinds(model)
    assert relative(run(model, x=x)[0], -x @ content) < 0.01
    assert model.opset_imports[""] == 21


def test_converting_leaves_its_argument_alone_and_is_done_once() -> None:
    original = product(weight(DEPTH, WIDTH))
    converted = int8.convert(original)
    assert kinds(original) == ["MatMul", "Neg"]
    assert not QuantizeRows()(converted).modified


@pytest.mark.parametrize("activated", [False, True])
def test_no_row_sees_another(activated: bool) -> None:
    """A quiet row is as exact beside a loud one as alone: one scale for all would round it away."""
    content, x = weight(DEPTH, WIDTH), weight(1, 4, DEPTH)
    loud = x * np.array([1.0, 1e-4, 1e4, 0.0], np.float32)[:, None]
    model = int8.convert(product(content, activated=activated))
    found = run(model, x=loud)[0][0]
    for row in range(4):
        alone = run(model, x=loud[:, row : row + 1])[0][0, 0]
        np.testing.assert_array_equal(found[row], alone)
    inputs = np.maximum(loud, 0) if activated else loud
    for row in range(3):
        assert relative(found[row], -inputs[0, row] @ content) < 0.02
    np.testing.assert_array_equal(found[3], 0)


@pytest.mark.parametrize(("normalised", "gain"), [(False, 0.88), (True, 0.84)])
def test_what_is_activated_has_more_steps(normalised: bool, gain: float) -> None:
    content, x = weight(300, 50), weight(1, 200, 300)
    plain = int8.convert(product(content))
    finer = int8.convert(product(content, activated=True, normalised=normalised))
    assert ("ReduceMin" in kinds(finer)) != normalised  # after a norm that side is known
    x = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
    expected = -np.maximum(x, 0).astype(np.float64) @ content
    errors = [relative(run(plain, x=np.maximum(x, 0))[0], expected), relative(run(finer, x=x)[0], expected)]
    assert errors[1] < gain * errors[0]  # the rounding of the weights is in both


def test_an_activation_that_reaches_below_zero_keeps_its_lower_half() -> None:
    content, x = weight(DEPTH, WIDTH), weight(1, 31, DEPTH) - 2
    model = int8.convert(product(content, activated=True, activation="Tanh"))
    assert relative(run(model, x=x)[0], -np.tanh(x) @ content) < 0.01


@pytest.mark.parametrize("activation", ["Gelu", "Relu"])
@pytest.mark.parametrize("normalised", [False, True])
def test_rows_of_any_size_are_finite(activation: str, normalised: bool) -> None:
    content = weight(DEPTH, WIDTH)
    model = int8.convert(product(content, activated=True, normalised=normalised, activation=activation))
    x = np.zeros((1, 4, DEPTH), np.float32)
    x[0, 1:] = np.array([-9.0, 1e4, 1e-30], np.float32)[:, None]
    found = run(model, x=x)[0]
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[0, 0], 0)


def test_a_table_of_each_head_is_cut_as_before() -> None:
    content, x = weight(4, DEPTH, WIDTH), weight(4, 7, DEPTH)
    model = int8.convert(product(content, columns=5))
    assert "MatMul" not in kinds(model)
    assert kinds(model).count("Slice") == 2
    assert relative(run(model, x=x)[0], -x @ content[..., 1:6]) < 0.01


def test_matmuls_of_one_input_share_its_rows() -> None:
    model = QuantizeRows()(product(weight(DEPTH, WIDTH), twice=True)).model
    assert kinds(model).count("QuantizeLinear") == 2  # the rows, and their zero points
    assert kinds(model).count("MatMulIntegerToFloat") == 2
    y, z = run(model, x=weight(1, 5, DEPTH))
    np.testing.assert_array_equal(y, z)


@pytest.mark.parametrize(
    ("model", "keep"),
    [
        (product(weight(DEPTH, WIDTH)), {"y"}),
        (product(weight(DEPTH, WIDTH), constant=False), ()),
        (product(weight(8, WIDTH)), ()),  # too shallow to gain
        (product(weight(DEPTH, WIDTH).astype(np.float64)), ()),
    ],
)
def test_other_matmuls_stay(model: ir.Model, keep: Any) -> None:
    assert not QuantizeRows(keep=keep)(model).modified
    assert kinds(model) == ["MatMul", "Neg"]


def test_the_product_that_makes_the_output_stays() -> None:
    model = product(weight(DEPTH, WIDTH))
    negation = next(node for node in model.graph if node.op_type == "Neg")
    model.graph.outputs[0] = negation.inputs[0]
    assert not QuantizeRows()(model).modified
