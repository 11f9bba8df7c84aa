"""Passes over the traced graph; `PIPELINE` is their order."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import Sequential, common

from sewd_export.passes.divide_counts import DivideCounts
from sewd_export.passes.infer_reshape_axes import InferReshapeAxes
from sewd_export.passes.name_by_module import NameByModule
from sewd_export.passes.narrow_indices import NarrowIndices

__all__ = ["PIPELINE", "DivideCounts", "InferReshapeAxes", "NameByModule", "NarrowIndices", "optimize"]

PIPELINE: tuple[ir.passes.PassBase, ...] = (
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
    common.IdentityEliminationPass(),
    common.CommonSubexpressionEliminationPass(),
    common.DeduplicateInitializersPass(),
    DivideCounts(),
    InferReshapeAxes(),
    common.RemoveUnusedNodesPass(),
    common.RemoveUnusedFunctionsPass(),
    common.RemoveUnusedOpsetsPass(),
    NarrowIndices(),
    NameByModule(),
    common.ClearMetadataAndDocStringPass(),
    common.TopologicalSortPass(),
)


def optimize(model: ir.Model) -> ir.Model:
    """Run `PIPELINE` over a traced model, in place, and return it."""
    return Sequential(*PIPELINE)(model).model
