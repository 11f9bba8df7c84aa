"""Laws of the rewrites for OpenVINO; skipped if the openvino package is not installed."""

from __future__ import annotations

import importlib.util
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sewd_runtime.inference.backends.openvino.backend import import_openvino, read_onnx
from sewd_runtime.inference.backends.openvino.rewrites import GROUP, gather_flat, quantize_weights

if importlib.util.find_spec("openvino") is None:
    pytest.skip("openvino is not installed: pip install 'sewd[openvino]'", allow_module_level=True)

openvino = import_openvino()
ops = importlib.import_module("openvino.opset8")
cut_table = importlib.import_module("openvino.opset15").slice

FREE = [-1, -1, -1, -1]
SHAPES = ((1, 1, 1, 1), (1, 2, 3, 5), (2, 3, 5, 3), (3, 1, 4, 1))


def lookup(
    *, mode: str = "numpy", swap: bool = False, axis: int = -1, index_rank: int = 2, reader: bool = False
) -> Any:
    """A model: values `(batch, heads, rows, columns)`, index, shape of the repeated index → picked values."""
    values = ops.parameter(FREE, np.float32)
    index = ops.parameter([-1] * index_rank, np.int32)
    shape = ops.parameter([4], np.int64)
    found = ops.gather_elements(values, ops.broadcast(index, shape, broadcast_spec=mode.upper()), axis)
    results = [ops.transpose(found, np.array([0, 1, 3, 2])) if swap else found]
    if reader:
        results.append(ops.relu(found))
    return openvino.Model(results, [values, index, shape])


def compiled(model: Any) -> Any:
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return openvino.Core().compile_model(model, "CPU", config)


def run(model: Any, *feed: np.ndarray) -> list[np.ndarray]:
    results = compiled(model)(list(feed))
    return [results[i] for i in range(len(results))]


def operators(model: Any) -> list[str]:
    return [node.get_type_name() for node in model.get_ordered_ops()]


def feeds(found: int) -> list[tuple[np.ndarray, ...]]:
    """Values, an index with negative entries, the shape to repeat it to; also with an index of one row."""
    rng = np.random.default_rng(0)
    return [
        (
            rng.normal(size=(batch, heads, rows, columns)).astype(np.float32),
            rng.integers(-columns, columns, own).astype(np.int32),
            np.array([batch, heads, rows, found]),
        )
        for batch, heads, rows, columns in SHAPES
        for own in ((rows, found), (1, found), (rows, 1), (1, 1))
    ]


@pytest.mark.parametrize("mode", ["numpy", "bidirectional"])
@pytest.mark.parametrize("swap", [False, True])
def test_a_lookup_finds_the_same(mode: str, swap: bool) -> None:
    before, after = lookup(mode=mode, swap=swap), lookup(mode=mode, swap=swap)
    assert gather_flat(after) == 1
    assert "GatherElements" not in operators(after)
    assert operators(after).count("Transpose") == swap  # of the index now
    assert gather_flat(after) == 0
    before, after = (compiled(model) for model in (before, after))
    for feed in feeds(4):
        np.testing.assert_array_equal(after(list(feed))[0], before(list(feed))[0])


def test_a_swap_that_others_do_not_see_stays() -> None:
    before, after = lookup(swap=True, reader=True), lookup(swap=True, reader=True)
    assert gather_flat(after) == 1
    for one, other in zip(run(before, *feeds(3)[4]), run(after, *feeds(3)[4]), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("change", [{"axis": 2}, {"index_rank": 3}, {"index_rank": 1}])
def test_other_lookups_stay(change: dict[str, int]) -> None:
    model = lookup(**change)
    assert gather_flat(model) == 0
    assert "GatherElements" in operators(model)


def test_an_index_that_is_not_repeated_stays() -> None:
    values, index = ops.parameter(FREE, np.float32), ops.parameter(FREE, np.int32)
    model = openvino.Model([ops.gather_elements(values, index, -1)], [values, index])
    assert gather_flat(model) == 0


@pytest.mark.parametrize("alike", [True, False])
def test_tables_cut_alike_share_an_index(alike: bool) -> None:
    def make() -> Any:
        query = ops.parameter([-1, -1, 4], np.float32)
        index = ops.parameter([-1, -1], np.int64)
        stop = ops.parameter([1], np.int64)
        shape = ops.concat([ops.gather(ops.shape_of(query), np.array([0]), 0), ops.shape_of(index)], 0)
        looked_up = []
        for seed, bound in enumerate((stop, stop if alike else np.array([5]))):
            table = np.random.default_rng(seed).normal(size=(1, 4, 5)).astype(np.float32)
            cut = cut_table(table, np.array([0]), bound, np.array([1]), np.array([2]))
            scores = ops.multiply(ops.matmul(query, cut, False, False), np.float32(2))
            looked_up.append(ops.gather_elements(scores, ops.broadcast(index, shape), 2))
        return openvino.Model(looked_up, [query, index, stop])

    before, after = make(), make()
    assert gather_flat(after) == 2
    assert operators(after).count("Range") == (1 if alike else 2)
    query = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    feed = (query, np.array([[0, 1], [1, 0], [1, 2]]), np.array([3]))
    for one, other in zip(run(before, *feed), run(after, *feed), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_exported_model_is_rewritten(tiny_bundle: Path) -> None:
    before, after = (read_onnx(tiny_bundle / "model.fp32.onnx") for _ in range(2))
    layers = operators(before).count("Softmax")
    assert gather_flat(after) == 2 * layers
    rng = np.random.default_rng(0)
    first, second = compiled(before), compiled(after)
    for lengths in ((400,), (401,), (1_040, 1), (16_001, 7_777, 0), (33_333,)):
        values = np.zeros((len(lengths), max(lengths)), np.float32)
        for item, length in zip(values, lengths, strict=True):
            item[:length] = rng.normal(0, 0.1, length)
        feed = [values, np.array(lengths)]
        np.testing.assert_array_equal(second(feed)["logits"], first(feed)["logits"])


def matmuls(*sizes: int, transposed: bool = False) -> Any:
    """Matmuls with constant weights in a chain, with a norm before the last."""
    rng = np.random.default_rng(0)
    samples = ops.parameter([-1, -1, sizes[0]], np.float32)
    made = samples
    for inner, outer in pairwise(sizes):
        if outer == sizes[-1]:
            made = ops.mvn(made, np.array([-1]), True, 1e-5, "inside_sqrt")
        weight = rng.normal(size=(outer, inner) if transposed else (inner, outer)).astype(np.float32)
        weight /= np.float32(inner**0.5)
        made = ops.relu(ops.matmul(made, weight, False, transposed))
    return openvino.Model([ops.add(made, np.float32(1))], [samples])


@pytest.mark.parametrize("transposed", [False, True])
def test_weights_become_bytes(transposed: bool) -> None:
    before, after = (matmuls(128, 64, 192, 32, transposed=transposed) for _ in range(2))
    assert quantize_weights(after) == 1  # 64 is only one group; the last makes the output
    assert [node.get_element_type().to_string() for node in after.get_ordered_ops()].count("i8") == 1
    assert quantize_weights(after) == 0
    rng = np.random.default_rng(0)
    samples = (rng.normal(size=(3, 5, 128)) * rng.uniform(1e-3, 1e3, (3, 5, 1))).astype(np.float32)
    config = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP}
    rounded = openvino.Core().compile_model(after, "CPU", config)
    expected, found = compiled(before)([samples])[0], rounded([samples])[0]
    error = np.linalg.norm(found - expected, axis=-1) / np.linalg.norm(expected, axis=-1)
    assert 0 < error.max() < 2e-2  # of each row, however loud its neighbours
    for item, alone in zip(found, samples, strict=True):
        np.testing.assert_array_equal(item, rounded([alone[None]])[0][0])


@pytest.mark.parametrize("sizes", [(96, 128, 32), (130, 128, 32), (128, 32, 32), (128, 128)])
def test_matmuls_that_gain_nothing_stay(sizes: tuple[int, ...]) -> None:
    model = matmuls(*sizes)
    assert quantize_weights(model) == 0


def test_matmuls_without_a_constant_matrix_stay() -> None:
    rng = np.random.default_rng(0)
    one, other = (ops.parameter([-1, 128, 128], np.float32) for _ in range(2))
    made = ops.matmul(
        ops.matmul(one, other, False, False), rng.normal(size=(1, 128, 128)).astype(np.float32), False, False
    )
    assert (
        quantize_weights(
            openvino.Model([ops.matmul(made, np.eye(128, dtype=np.float32), False, False)], [one, other])
        )
        == 0
    )
