"""8-bit products, quantized while they run: for processors, through onnxruntime."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir
from onnx_ir.passes import Sequential, common

from sewd_export.precisions.int8.quantize_rows import QuantizeRows
from sewd_export.precisions.int8.quantize_scores import QuantizeScores, ScaleLater
from sewd_export.precisions.int8.transpose_rows_later import TransposeRowsLater


def convert(model: ir.Model, *, keep: Collection[str] = ()) -> ir.Model:
    """Return a copy of a float32 model whose products with constant weights run in 8 bits.

    keep: names of products that stay in float32.
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
