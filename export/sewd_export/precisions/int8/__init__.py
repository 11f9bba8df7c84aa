"""Int8 matmuls, quantized at run time: for CPUs, through onnxruntime."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir
from onnx_ir.passes import Sequential, common

from sewd_export.precisions.int8.quantize_rows import QuantizeRows
from sewd_export.precisions.int8.quantize_scores import QuantizeScores
from sewd_export.precisions.int8.scale_later import ScaleLater
from sewd_export.precisions.int8.transpose_rows_later import TransposeRowsLater


def convert(model: ir.Model, *, keep: Collection[str] = ()) -> ir.Model:
    """Return a copy of a float32 model whose matmuls with constant weights are int8.

    keep: names of matmuls that stay in float32.
    """
    converted = model.clone()
    converted.graph.sort()
    steps = (
        QuantizeRows(keep=keep),
        QuantizeScores(),
        ScaleLater(),
        TransposeRowsLater(),
        common.RemoveUnusedNodesPass(),
        common.CommonSubexpressionEliminationPass(),
        common.TopologicalSortPass(),
    )
    return Sequential(*steps)(converted).model


def matmuls(model: ir.Model) -> list[ir.Node]:
    """Return the matmuls of a float32 model that `convert` quantizes, each of which can be kept."""
    return QuantizeRows().matmuls(model)
