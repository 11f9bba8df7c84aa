"""Int8 matmuls with constant scales (QDQ), in standard operators: for OpenVINO, TensorRT and NPUs."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import onnx_ir as ir
from onnx_ir.passes import Sequential, common

from sewd_export.precisions.int8_static.quantize_with_constants import (
    QuantizeWithConstants,
    calibrated_inputs,
)

if TYPE_CHECKING:
    from sewd_export.precisions import Ranges

__all__ = ["calibrated_inputs", "convert", "matmuls"]


def convert(model: ir.Model, *, keep: Collection[str] = (), ranges: Ranges | None = None) -> ir.Model:
    """Return a copy of a float32 model whose matmuls with constant matrices are int8.

    keep: names of matmuls that stay in float32.
    ranges: of inputs, from `calibration.measure_ranges`; other inputs have a scale per row.
    """
    converted = model.clone()
    converted.graph.sort()
    steps = (
        QuantizeWithConstants(keep=keep, ranges=ranges),
        common.RemoveUnusedNodesPass(),
        common.TopologicalSortPass(),
    )
    return Sequential(*steps)(converted).model


def matmuls(model: ir.Model) -> list[ir.Node]:
    """Return the matmuls of a float32 model that `convert` quantizes, each of which can be kept."""
    return QuantizeWithConstants().matmuls(model)
