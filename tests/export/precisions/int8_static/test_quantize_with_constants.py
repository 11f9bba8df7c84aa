"""Laws: constant scales in standard operators; a row sees no other; measured ranges even the channels out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
import soundfile

from sewd_export.errors import ExportError
from sewd_export.passes import optimize
from sewd_export.precisions import PRECISIONS
from sewd_export.precisions.int8_static import convert
from sewd_export.precisions.int8_static.quantize_with_constants import (
    QuantizeWithConstants,
    calibrated_inputs,
)
from sewd_export.precisions.roles import exposed_matmuls
from sewd_export.search.calibration import measure_ranges, read_calibration
from sewd_runtime.inference.session import pad

DEPTH, WIDTH = 48, 20
TOLERANCE = PRECISIONS["int8-static"].tolerance
Array = np.ndarray


def run(model: ir.Model, **inputs: Any) -> list[Any]:
    content = ir.to_proto(model).SerializeToString()
    return list(onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, inputs))


def weight(*shape: int) -> Array:
    return np.random.default_rng(7).standard_normal(shape, dtype=np.float32)


def graph(*steps: str, **constants: Array) -> ir.Model:
    """A graph of `x (batch, rows, DEPTH)` → `y`, in ONNX's text form; each node is named after its output.

    A norm follows, as after almost every matmul of a model.
    """
    constants["one"] = np.ones(1, np.float32)
    kinds = {np.float32: "float", np.float64: "double", np.int64: "int64"}
    inputs = ", ".join(
        f"{kinds[content.dtype.type]}[{','.join(map(str, content.shape))}] {name}"
        for name, content in constants.items()
    )
    model = ir.from_onnx_text(
        f'<ir_version: 10, opset_import: ["": 20]> g (float[b, n, {DEPTH}] x, {inputs}) => (float[b, n, w] y)'
        f"{{ {' '.join(steps)} y = LayerNormalization(z, one) }}"
    )
    for value in [value for value in model.graph.inputs if value.name in constants]:
        model.graph.inputs.remove(value)
        value.const_value = ir.tensor(constants[str(value.name)], name=value.name)
        model.graph.register_initializer(value)
    for node in model.graph:
        node.name = str(node.outputs[0].name)
        for value in node.outputs:
            value.type = ir.TensorType(ir.DataType.FLOAT)
    return model


def inner(model: ir.Model) -> ir.Model:
    """Leave the norm off that `graph` adds, so that the product itself comes out."""
    [last] = [node for node in model.graph if node.name == "y"]
    assert last.inputs[0] is not None
    model.graph.outputs[0] = last.inputs[0]
    model.graph.remove(last)
    return model


def kinds(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def relative(found: Any, expected: Any) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def measured(model: ir.Model, recordings: Sequence[Array]) -> Mapping[str, Array]:
    names = [str(value.name) for value in calibrated_inputs(model)]
    return measure_ranges(model, names, recordings)


@pytest.fixture(scope="module")
def single(traced: ir.Model) -> ir.Model:
    return optimize(traced.clone())


@pytest.fixture(scope="module")
def speech() -> list[Array]:
    random = np.random.default_rng(5)
    return [random.normal(0, 0.2, n).astype(np.float32) for n in (4001, 1777)]


@pytest.fixture(scope="module", params=[False, True], ids=["rows", "calibrated"])
def rounded(request: pytest.FixtureRequest, single: ir.Model, speech: list[Array]) -> ir.Model:
    return convert(single, ranges=measured(single, speech) if request.param else None)


@pytest.fixture(scope="module")
def candidate(rounded: ir.Model) -> Callable[[list[Array]], list[Array]]:
    session = onnxruntime.InferenceSession(
        ir.to_proto(rounded).SerializeToString(), providers=["CPUExecutionProvider"]
    )

    def outputs(recordings: list[Array]) -> list[Array]:
        values, lengths = pad(recordings)
        output, frames = session.run(None, {"input_values": values, "input_lengths": lengths})
        return [item[:count] for item, count in zip(output, frames, strict=True)]

    return outputs


def test_matmuls_read_constants_after_dequantize_linear(single: ir.Model, rounded: ir.Model) -> None:
    names = {node.name for node in QuantizeWithConstants().matmuls(single)}
    products = [node for node in rounded.graph if str(node.name).removesuffix("/product") in names]
    assert len(products) == len(names) > 8
    initializers = set(rounded.graph.initializers.values())
    for node in products:
        for value in node.inputs:
            assert value is not None
            source = value.producer()
            assert source is not None and source.op_type == "DequantizeLinear"
            assert initializers.issuperset(source.inputs[1:])
        columns = node.inputs[1].producer().inputs[0]  # type: ignore[union-attr]
        assert columns is not None and columns.dtype == ir.DataType.INT8
    assert {node.domain for node in rounded.graph} == {""}
    assert rounded.opset_imports == single.opset_imports


def test_zero_points_are_zero(rounded: ir.Model) -> None:
    for node in rounded.graph:
        if node.op_type == "QuantizeLinear":
            zero = node.inputs[2]
            assert zero is not None and zero.const_value is not None
            assert zero.const_value.numpy() == 0
            assert zero.dtype == ir.DataType.INT8


def test_what_no_norm_follows_stays(single: ir.Model, rounded: ir.Model) -> None:
    exposed = {node.name for node in exposed_matmuls(single.graph)}
    assert exposed == {"lm_head/MatMul", "upsample.projection/MatMul"}
    assert exposed <= {node.name for node in rounded.graph}


def test_a_batch_equals_its_items(
    candidate: Callable[[list[Array]], list[Array]], ragged: dict[str, Any]
) -> None:
    rows = zip(ragged["input_values"], ragged["input_lengths"], strict=True)
    recordings = [row[:length] for row, length in rows]
    for samples, item in zip(recordings, candidate(recordings), strict=True):
        [alone] = candidate([samples])
        assert np.abs(item - alone).max() <= TOLERANCE.batch_error * max(1, np.abs(alone).max())


def test_hard_recordings_stay_near_float32(
    single: ir.Model, candidate: Callable[[list[Array]], list[Array]]
) -> None:
    click = np.zeros(16_001, np.float32)
    click[7_000] = 1
    noise = np.random.default_rng(2).standard_normal(4001).astype(np.float32)
    half_silent = np.where(np.arange(4001) < 1500, 0, 0.1 * noise).astype(np.float32)
    recordings = [click, np.zeros(8000, np.float32), 100 * noise, np.clip(noise, -1, 1), half_silent]
    for samples, found in zip(recordings, candidate(recordings), strict=True):
        feed = {"input_values": samples[None], "input_lengths": np.array([len(samples)])}
        expected = run(single, **feed)[0][0]
        assert np.isfinite(found).all()
        assert relative(found, expected) <= TOLERANCE.relative


def test_no_row_sees_another() -> None:
    content, x = weight(DEPTH, WIDTH), weight(1, 4, DEPTH)
    loud = x * np.array([1.0, 1e-4, 1e4, 0.0], np.float32)[:, None]
    model = inner(convert(graph("z = MatMul(x, w)", w=content)))
    [found] = run(model, x=loud)[0]
    for row in range(4):
        np.testing.assert_array_equal(found[row], run(model, x=loud[:, row : row + 1])[0][0, 0])
    for row in range(3):
        assert relative(found[row], loud[0, row] @ content) < 0.02
    np.testing.assert_array_equal(found[3], 0)


def test_what_is_activated_behind_a_norm_has_more_levels() -> None:
    content, x = weight(DEPTH, WIDTH), weight(1, 300, DEPTH)
    behind = graph("n = LayerNormalization(x, one)", "a = Relu(n)", "z = MatMul(a, w)", w=content)
    before = graph("a = Relu(x)", "z = MatMul(a, w)", w=content)
    assert "Sub" in kinds(convert(behind))
    assert "Sub" not in kinds(convert(before))  # quiet rows have as much below zero as above
    errors = []
    for model in (behind, before):
        [found], [expected] = (run(inner(one), x=x) for one in (convert(model), model.clone()))
        errors.append(relative(found, expected))
    assert errors[0] < 0.9 * errors[1]  # the rounding of the weights is in both


def test_zero_is_a_level() -> None:
    """An activation gives many zeros; each of them rounded to the same side would add up."""
    steps = ("n = LayerNormalization(x, one)", "a = Relu(n)", "z = MatMul(a, w)")
    model = inner(convert(graph(*steps, w=np.ones((DEPTH, WIDTH), np.float32))))
    x = np.full((1, 1, DEPTH), -1, np.float32)
    x[..., 0] = DEPTH
    [found], peak = run(model, x=x)[0], (DEPTH - 1) ** 0.5
    np.testing.assert_allclose(found, peak, rtol=1e-3)


def test_measured_ranges_even_the_channels_out() -> None:
    loud = np.ones(DEPTH, np.float32)
    loud[:2] = 30
    steps = ("n = LayerNormalization(x, loud)", "z = MatMul(n, w)")
    model = graph(*steps, w=weight(DEPTH, WIDTH), loud=loud)
    x = weight(1, 200, DEPTH)
    peaks = np.abs((x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True) * loud).max((0, 1))
    [expected] = run(inner(model.clone()), x=x)
    errors = []
    for ranges in (None, {"n": peaks}):
        converted = convert(model, ranges=ranges)
        assert ("ReduceMax" in kinds(converted)) == (ranges is None)
        errors.append(relative(run(inner(converted), x=x)[0], expected))
    assert errors[1] < 0.9 * errors[0]
    peaks[5] = 0  # silent in the calibration
    assert np.isfinite(run(inner(convert(model, ranges={"n": peaks})), x=x)[0]).all()


def test_a_table_is_cut_as_before() -> None:
    bounds = {name: np.array([value]) for name, value in (("start", 1), ("end", 6), ("axis", -1))}
    model = graph(
        "cut = Slice(w, start, end, axis)", "z = MatMul(x, cut)", w=weight(4, DEPTH, WIDTH), **bounds
    )
    x = weight(4, 7, DEPTH)
    assert relative(run(inner(convert(model)), x=x)[0], x @ weight(4, DEPTH, WIDTH)[..., 1:6]) < 0.015


def test_matmuls_of_one_input_share_its_rounding() -> None:
    model = convert(graph("a = MatMul(x, w)", "b = MatMul(x, w)", "z = Add(a, b)", w=weight(DEPTH, WIDTH)))
    assert kinds(model).count("QuantizeLinear") == 1
    assert kinds(model).count("MatMul") == 2


@pytest.mark.parametrize(
    ("content", "keep"),
    [
        (weight(DEPTH, WIDTH), {"z"}),
        (weight(DEPTH, WIDTH).astype(np.float64), ()),
        (weight(DEPTH), ()),
    ],
)
def test_other_matmuls_stay(content: Array, keep: Any) -> None:
    model = graph("z = MatMul(x, w)", w=content)
    assert not QuantizeWithConstants(keep=keep)(model).modified
    assert kinds(model) == ["MatMul", "LayerNormalization"]


def test_a_kept_product_reads_its_input_as_it_was() -> None:
    model = graph("a = MatMul(x, w)", "b = MatMul(x, w)", "z = Sub(a, b)", w=weight(DEPTH, WIDTH))
    [found] = run(inner(convert(model, keep=["a"])), x=weight(1, 5, DEPTH))
    assert found.any()


def test_converting_leaves_its_argument_alone_and_is_done_once() -> None:
    original = graph("z = MatMul(x, w)", w=weight(DEPTH, WIDTH))
    converted = convert(original)
    assert kinds(original) == ["MatMul", "LayerNormalization"]
    assert not QuantizeWithConstants()(converted).modified


def test_ranges_are_the_largest_of_all_recordings(single: ir.Model, speech: list[Array]) -> None:
    outputs = list(single.graph.outputs)
    together = measured(single, speech)
    assert list(single.graph.outputs) == outputs
    assert set(together) == {str(value.name) for value in calibrated_inputs(single)}
    assert len(together) >= 3  # both feed-forward networks, the second attention
    alone = [measured(single, [samples]) for samples in speech]
    for name, peaks in together.items():
        np.testing.assert_array_equal(peaks, np.maximum(alone[0][name], alone[1][name]))


def test_recordings_are_cut_and_short_ones_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(61 * 1000), 1000)
    soundfile.write(tmp_path / "short.wav", np.zeros(79), 1000)
    pieces = read_calibration(tmp_path, sample_rate_hz=1000, min_samples=80)
    assert [len(piece) for piece in pieces] == [30_000, 30_000, 1000]
    with pytest.raises(ExportError, match="every recording is shorter than 90000 samples"):
        read_calibration(tmp_path, sample_rate_hz=1000, min_samples=90_000)
    with pytest.raises(ExportError, match="absent: no such folder"):
        read_calibration(tmp_path / "absent", sample_rate_hz=1000, min_samples=80)
