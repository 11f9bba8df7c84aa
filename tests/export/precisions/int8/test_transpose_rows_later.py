"""Laws: rows are quantized before they are moved, to the same bits; what is moved otherwise is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

import sewd_runtime
from sewd_export.precisions import int8
from sewd_export.precisions.int8.transpose_rows_later import TransposeRowsLater

DIGITS = Path(sewd_runtime.__file__).parent / "models/digits"
SHAPE = (2, 5, 3, 32)
SPLIT_HEADS = (0, 2, 1, 3)


def moved_rows(perm: Sequence[int], *, blocked: bool = True) -> ir.Model:
    """Rows that are moved, then quantized with a scale for each row of what was moved."""
    float_type, byte_type = (ir.TensorType(kind) for kind in (ir.DataType.FLOAT, ir.DataType.UINT8))
    x = ir.Value(name="x", type=float_type, shape=ir.Shape(SHAPE))
    shape = [SHAPE[axis] for axis in perm]
    scale_shape = (*shape[:-1], 1) if blocked else ()
    scale = np.random.default_rng(0).uniform(0.01, 0.03, scale_shape)
    initializers = [
        ir.Value(name=tensor.name, const_value=tensor, type=ir.TensorType(tensor.dtype))
        for tensor in (
            ir.tensor(np.asarray(scale, np.float32), name="scale"),
            ir.tensor(np.full(scale_shape, 128, np.uint8), name="zero_point"),
        )
    ]
    move = ir.node("Transpose", [x], {"perm": list(perm)}, name="move")
    attributes = {"axis": -1, "block_size": shape[-1]} if blocked else {}
    rows = ir.node("QuantizeLinear", [move.outputs[0], *initializers], attributes, name="rows")
    rows.outputs[0].name, rows.outputs[0].type = "y", byte_type
    graph = ir.Graph(
        [x], rows.outputs, nodes=[move, rows], initializers=initializers, opset_imports={"": 21}, name="g"
    )
    return ir.Model(graph, ir_version=10)


def run(model: ir.Model, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    [output] = session.run(None, {"x": x})
    return np.asarray(output)


@pytest.mark.parametrize("perm", [SPLIT_HEADS, (1, 2, 0, 3), (2, 0, 1, 3)])
def test_rows_move_behind_their_quantization_and_agree(perm: tuple[int, ...]) -> None:
    before, after = moved_rows(perm), moved_rows(perm)
    assert TransposeRowsLater()(after).modified
    x = np.random.default_rng(1).normal(0, 1, SHAPE).astype(np.float32)
    np.testing.assert_array_equal(run(after, x), run(before, x))
    [rows] = [node for node in after.graph if node.op_type == "QuantizeLinear"]
    assert rows.inputs[0] is after.graph.inputs[0]
    assert not TransposeRowsLater()(after).modified


@pytest.mark.parametrize(("perm", "blocked"), [((0, 1, 3, 2), True), (SPLIT_HEADS, False)])
def test_it_declines_what_does_not_keep_rows(perm: tuple[int, ...], blocked: bool) -> None:
    assert not TransposeRowsLater()(moved_rows(perm, blocked=blocked)).modified


def test_no_row_of_a_model_is_quantized_behind_a_transpose() -> None:
    """Else onnxruntime up to 1.30 does not run it."""
    for node in int8.convert(ir.load(DIGITS / "model.fp32.onnx")).graph:
        if node.op_type == "QuantizeLinear" and node.inputs[0] is not None:
            producer = node.inputs[0].producer()
            assert producer is None or producer.op_type != "Transpose", node.name
