"""Constants for graphs."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray


def constant(name: str, array: NDArray[Any]) -> ir.Value:
    """Return a typed value that holds an array, to be registered as an initializer."""
    tensor = ir.tensor(array, name=name)
    kind = ir.TensorType(tensor.dtype)
    return ir.Value(name=name, const_value=tensor, type=kind, shape=ir.Shape(array.shape))
