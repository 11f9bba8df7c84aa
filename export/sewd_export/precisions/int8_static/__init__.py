"""8-bit products with constant scales (QDQ), in standard operators: for OpenVINO, TensorRT and NPUs."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir
from onnx_ir.passes import Sequential, common

from sewd_export.precisions.int8_static.quantize_with_constants import QuantizeWithConstants, Ranges


def convert(model: ir.Model, *, keep: Collection[str] = (), ranges: Ranges | None = None) -> ir.Model:
    """Return a copy of a float32 model whose products with constant matrices are rounded to 8 bits.

    keep: names of products that stay in float32.
    ranges: of inputs, as `calibration.measure_ranges` finds them; without, each row has a scale of its own.
    """
    rounded = model.clone()
    rounded.graph.sort()
    steps = (
        QuantizeWithConstants(keep=keep, ranges=ranges),
        common.RemoveUnusedNodesPass(),
        common.TopologicalSortPass(),
    )
    return Sequential(*steps)(rounded).model
