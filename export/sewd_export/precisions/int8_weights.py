"""Constant weights of matmuls, and their int8 columns."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

LEVELS = 127  # on either side of zero
SMALLEST = 1e-20  # the smallest scale, so that a row of zeros has one
_MIN_DEPTH = 32  # a shallower matmul is dominated by its input and output: nothing to gain


def gains(node: ir.Node) -> bool:
    """Return whether a node is a matmul with a constant float32 matrix, whole or sliced, that gains."""
    if node.op_type != "MatMul":
        return False
    weight = node.inputs[1]
    assert weight is not None
    tensor = source_of(weight)[0].const_value
    if tensor is None or tensor.dtype != ir.DataType.FLOAT:
        return False
    return len(tensor.shape) > 1 and content_of(weight).shape[-2] >= _MIN_DEPTH


def source_of(weight: ir.Value) -> tuple[ir.Value, ir.Node | None]:
    """Return the value that a weight is sliced from, and the Slice of its columns if there is one."""
    cut = weight.producer()
    if cut is None or cut.op_type != "Slice" or cut.inputs[0] is None:
        return weight, None
    return cut.inputs[0], cut


def content_of(weight: ir.Value) -> NDArray[np.float32]:
    """Return a weight's content `(..., in, out)` float32, with all columns even if it is sliced."""
    tensor = source_of(weight)[0].const_value
    assert tensor is not None
    return np.asarray(tensor.numpy(), dtype=np.float32)


def quantize_columns(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round `weight (..., in, out)` float32 to int8 in [-127, 127].

    Returns it and the scales of its columns, `(..., 1, out)` float32.
    """
    peak = np.abs(weight).max(-2, keepdims=True)
    scale = np.where(peak == 0, 1.0, peak / LEVELS).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale
