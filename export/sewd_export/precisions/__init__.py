"""Precisions: what is stored and computed how, and how far each may be from the original.

Their conversions are imported when they run: the command reads this table for its flags.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sewd_runtime.manifest import Tolerance

if TYPE_CHECKING:
    import onnx_ir as ir

    from sewd_export.precisions._static import Ranges

__all__ = ["PRECISIONS", "REFERENCE", "Precision", "stricter"]

REFERENCE = "fp32"
"""In every bundle; the others are flags of the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """One way to store and compute a model.

    summary: what it is for, in the words of the command's help.
    convert: float32 model → this precision's model; does not change its argument. With `ranges` where it
        `takes_ranges`.
    tolerance: of the output, against the original in float32.
    takes_ranges: whether it gains from the ranges that `calibration.measure_ranges` finds.
    """

    summary: str
    convert: Callable[..., ir.Model]
    tolerance: Tolerance
    takes_ranges: bool = False


def _to_fp16(model: ir.Model) -> ir.Model:
    from sewd_export.precisions.fp16 import convert

    return convert(model)


def _to_int8(model: ir.Model) -> ir.Model:
    from sewd_export.precisions.int8 import convert

    return convert(model)


def _to_int8_static(model: ir.Model, *, ranges: Ranges | None = None) -> ir.Model:
    from sewd_export.precisions.int8_static import convert

    return convert(model, ranges=ranges)


PRECISIONS = {
    REFERENCE: Precision(
        summary="float32",
        convert=lambda model: model,
        tolerance=Tolerance(max_abs=1e-4, relative=1e-5, batch_error=1e-5),
    ),
    "fp16": Precision(
        summary="mixed float16, half the size, for CUDA and TensorRT; no faster on a CPU",
        convert=_to_fp16,
        # Largest seen with every float16 value rounded, as on a GPU: 3.8e-2 of logits up to 38; relative
        # 2.8e-3; batches 8.2e-4. Over the digits model and every configuration of tests/parity.
        tolerance=Tolerance(max_abs=1e-1, relative=1e-2, batch_error=1e-2),
    ),
    "int8": Precision(
        summary="products in 8 bits, a quarter of the size, for processors, through onnxruntime",
        convert=_to_int8,
        # Largest seen: 0.8 of logits up to 38, relative 8e-3 on the digits model; relative 0.06 with random
        # weights, on noise. A flipped rounding moves an item of a batch as far as it moves the item alone.
        tolerance=Tolerance(max_abs=10.0, relative=1e-1, batch_error=5e-2),
    ),
    "int8-static": Precision(
        summary="products in 8 bits with constant scales (QDQ), for OpenVINO, TensorRT and NPUs; "
        "calibrated with --calibrate, but needs no data",
        convert=_to_int8_static,
        # Largest seen: relative 0.067 and 20 of logits up to 38 on the digits model, where one sound starts a
        # frame earlier; relative 0.071 and batches 0.017 with random weights of SEW-D-tiny's dimensions.
        tolerance=Tolerance(max_abs=10.0, relative=1e-1, batch_error=5e-2),
        takes_ranges=True,
    ),
}


def stricter(one: Tolerance, other: Tolerance) -> Tolerance:
    """Return the tighter of each bound: a bundle cannot loosen what it is held to."""
    return Tolerance(
        max_abs=min(one.max_abs, other.max_abs),
        relative=min(one.relative, other.relative),
        batch_error=min(one.batch_error, other.batch_error),
    )
