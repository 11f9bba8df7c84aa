"""Law: float16 where it is safe, float32 where it is needed, half the size, never a NaN."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from sewd_export.errors import TraceError
from sewd_export.passes import optimize
from sewd_export.precisions import PRECISIONS
from sewd_export.precisions.fp16 import convert
from sewd_export.precisions.fp16.convert_to_float16 import ConvertToFloat16
from sewd_export.precisions.fp16.scale_scores import ScaleScores
from sewd_runtime.inference.session import pad

FLOAT, HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16
LARGEST = float(np.finfo(np.float16).max)
TOLERANCE = PRECISIONS["fp16"].tolerance

Array = np.ndarray
Candidate = Callable[[list[Array]], list[Array]]
Rounded = Callable[[ir.Model], Candidate]


def plain(model: ir.Model) -> Candidate:
    """Run a graph as it is."""
    session = onnxruntime.InferenceSession(
        ir.to_proto(model).SerializeToString(), providers=["CPUExecutionProvider"]
    )

    def run(recordings: list[Array]) -> list[Array]:
        values, lengths = pad(recordings)
        output, frames = session.run(None, {"input_values": values, "input_lengths": lengths})
        return [item[:count] for item, count in zip(output, frames, strict=True)]

    return run


@pytest.fixture(scope="module")
def single(traced: ir.Model) -> ir.Model:
    return optimize(traced.clone())


@pytest.fixture(scope="module")
def half(single: ir.Model) -> ir.Model:
    return convert(single)


@pytest.fixture(scope="module")
def hard() -> list[Array]:
    """Silence, clipping, a click in silence, one frame, one token, and noise of odd lengths."""
    random = np.random.default_rng(2)
    click = np.zeros(16_001, np.float32)
    click[7_000] = 1
    noises = [random.standard_normal(n).astype(np.float32) for n in (80, 160, 4001, 8000)]
    return [np.zeros(4000, np.float32), np.clip(9 * noises[-1], -1, 1), click, *(0.1 * x for x in noises)]


def assert_close(found: list[Array], expected: list[Array]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert np.isfinite(one).all()
        assert np.abs(one - other).max() <= TOLERANCE.max_abs
        assert np.linalg.norm(one - other) <= TOLERANCE.relative * np.linalg.norm(other)


def casts(model: ir.Model) -> list[ir.Node]:
    return [
        node
        for node in model.graph
        if node.op_type == "Cast" and {node.inputs[0].dtype, node.outputs[0].dtype} == {FLOAT, HALF}
    ]


def test_a_gpu_gives_what_float32_gives_alone_and_in_a_batch(
    single: ir.Model, half: ir.Model, rounded: Rounded, hard: list[Array]
) -> None:
    expected = plain(single)(hard)
    run = rounded(half)
    alone = [run([samples])[0] for samples in hard]
    assert_close(alone, expected)
    for one, other in zip(run(hard), alone, strict=True):
        assert np.abs(one - other).max() <= TOLERANCE.batch_error * max(1, np.abs(other).max())
    assert_close(plain(half)(hard), expected)


def test_the_interface_is_float32_and_keeps_its_names(single: ir.Model, half: ir.Model) -> None:
    onnx.checker.check_model(ir.to_proto(half), full_check=True)
    for side in ("inputs", "outputs"):
        before, after = ([*getattr(model.graph, side)] for model in (single, half))
        assert [(v.name, v.dtype, v.shape) for v in after] == [(v.name, v.dtype, v.shape) for v in before]
    names = [node.name for node in half.graph]
    assert len(set(names)) == len(names)
    assert set(half.opset_imports) == {""}


def test_weights_are_stored_as_they_are_read(single: ir.Model, half: ir.Model) -> None:
    """No weight is cast at run time; those of matmuls are float16, except the first and the last."""
    before, after = (
        {v.name: v.const_value for v in model.graph.initializers.values()} for model in (single, half)
    )
    for node in half.graph:
        assert node.op_type != "Cast" or node.inputs[0].const_value is None
    weights = {name for name, tensor in before.items() if tensor.dtype == FLOAT and tensor.size > 512}
    assert len(weights) > 15
    kept = {name for name in weights if after.get(name) is not None and after[name].dtype == FLOAT}
    # the first convolution's weight has 80 numbers; its bias is repeated
    assert kept == {"lm_head.weight", "sew_d.feature_extractor.conv_layers.0.bias"}
    assert sum(tensor.nbytes for tensor in after.values()) < 0.56 * sum(t.nbytes for t in before.values())


def test_no_cast_is_undone_or_made_twice(half: ir.Model) -> None:
    found = casts(half)
    assert found
    for node in found:
        source = node.inputs[0].producer()
        assert source.op_type != "Cast" or source.inputs[0].dtype not in (FLOAT, HALF)
    read = [(node.inputs[0].name, node.outputs[0].dtype) for node in found]
    assert len(set(read)) == len(read)
    assert all(node.outputs[0].uses() or node.outputs[0].is_graph_output() for node in found)


def test_what_normalises_or_sums_is_float32(half: ir.Model) -> None:
    """And the matmuls between are not."""
    single_only = {"LayerNormalization", "Softmax", "ReduceSum", "ReduceMean", "Sqrt", "Div", "Sub"}
    places = ("sample_norm/", "feature_extractor.conv_layers.0/", "lm_head/")
    products, between = [], casts(half)
    for node in half.graph:
        types = {v.dtype for v in (*node.inputs, *node.outputs) if v is not None} & {FLOAT, HALF}
        if node in between:
            continue
        if node.op_type in single_only or (node.name.startswith(places) and node.op_type != "Reshape"):
            assert HALF not in types, node.name
        elif types and node.op_type in ("MatMul", "Conv", "Gelu", "GatherElements"):
            assert types == {HALF}, node.name
            products.append(node.name)
    assert len(products) > 20
    [mask] = {
        float(v.const_value.numpy().min())
        for v in half.graph.initializers.values()
        if v.const_value.dtype == FLOAT and v.const_value.size == 1 and v.const_value.numpy().min() < -1e4
    } - {-6e4}
    assert abs(mask) < LARGEST


def test_a_residual_is_added_in_float32(half: ir.Model) -> None:
    norms = [node for node in half.graph if node.name.endswith("_norm/LayerNormalization")]
    sums = [norm.inputs[0].producer() for norm in norms if norm.name.startswith("layers.")]
    assert {node.op_type for node in sums} == {"Add"}
    assert all(value.dtype == FLOAT for node in sums for value in node.inputs)


def test_converting_leaves_its_argument_and_is_done_once(traced: ir.Model) -> None:
    model = optimize(traced.clone())
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    once = convert(model)
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before
    again = ir.to_proto(once).SerializeToString(deterministic=True)
    for step in (ScaleScores(), ConvertToFloat16()):
        assert not step(once).modified, type(step).__name__
    assert ir.to_proto(convert(once)).SerializeToString(deterministic=True) == again


def test_a_value_without_a_type_is_refused(traced: ir.Model) -> None:
    model = optimize(traced.clone())
    node = next(node for node in model.graph if node.op_type == "Gelu")
    node.outputs[0].type = None
    with pytest.raises(TraceError, match=str(node.name)):
        convert(model)


# Range.


def scaled(model: ir.Model, part: str, factor: float) -> ir.Model:
    """The same model with the weights of one part times a factor."""
    model = model.clone()
    found = [value for name, value in model.graph.initializers.items() if re.search(part, name)]
    assert found
    for value in found:
        value.const_value = ir.tensor(value.const_value.numpy() * np.float32(factor), name=value.name)
    return model


def largest(model: ir.Model, part: str, recordings: list[Array]) -> float:
    """The largest magnitude that nodes of one part give in float32."""
    model = model.clone()
    values = [
        v for node in model.graph if node.name.startswith(part) for v in node.outputs if v.dtype == FLOAT
    ]
    model.graph.outputs[:] = values
    session = onnxruntime.InferenceSession(
        ir.to_proto(model).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    inputs = dict(zip(("input_values", "input_lengths"), pad(recordings), strict=True))
    return max(float(np.abs(found).max()) for found in session.run(None, inputs))


PARTS = [
    "feature_extractor.conv_layers.0.",
    "feature_extractor.conv_layers.1.",
    "layer_norm.",
    "feature_projection.",
    "pos_conv_embed.",
    "attention.(query|key|value).",
    "attention_norm.",
    "feed_forward.intermediate.",
    "upsample.",
]


@pytest.mark.parametrize("part", PARTS)
def test_activations_100_times_as_large(
    part: str, single: ir.Model, rounded: Rounded, hard: list[Array]
) -> None:
    model = scaled(single, part, 100)
    expected = plain(model)(hard)
    for found in (rounded(convert(model))(hard), plain(convert(model))(hard)):
        for one, other in zip(found, expected, strict=True):
            assert np.isfinite(one).all()
            assert np.linalg.norm(one - other) <= 10 * TOLERANCE.relative * np.linalg.norm(other)


@pytest.mark.parametrize(
    ("scaled_part", "factor", "part"),
    [
        ("feature_extractor.conv_layers.0.", 1e5, "feature_extractor.conv_layers.1"),
        ("attention.(query|key|value).", 1000, "layers.0.attention.scores"),
    ],
)
def test_what_float16_cannot_hold_is_still_a_number(
    scaled_part: str, factor: float, part: str, single: ir.Model, rounded: Rounded, hard: list[Array]
) -> None:
    model = scaled(single, scaled_part, factor)
    assert largest(model, part, hard) > LARGEST
    for run in (rounded(convert(model)), plain(convert(model))):
        assert all(np.isfinite(found).all() for found in run(hard))
