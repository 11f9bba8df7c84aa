"""Constants for graphs."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray


def constant(name: str, array: NDArray[Any]) -> ir.Value:
    """Return a typed value that holds an array, to be registered as an initializer."""
    tensor = ir.tensor(array, name=name)
    shape = ir.Shape(array.shape)
    return ir.Value(name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=shape)
