"""Precisions: what is stored and computed how, and how far each may be from the original.

Their conversions are imported when they run: the command reads this table for its flags.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sewd_export.errors import ExportError
from sewd_runtime.bundle.manifest import Tolerance

if TYPE_CHECKING:
    import onnx_ir as ir

    from sewd_export.precisions.int8_static.quantize_with_constants import Ranges

__all__ = ["PRECISIONS", "REFERENCE", "Precision", "check_precisions", "converter", "stricter"]

REFERENCE = "fp32"
"""In every bundle; the others are flags of the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """One way to store and compute a model.

    summary: what it is for, in the words of the command's help.
    convert: float32 model → this precision's model; does not change its argument. With `keep`, where there
        are `products`, those of these names stay in float32; with `ranges`, where it `takes_ranges`.
    tolerance: of the output, against the original in float32.
    products: float32 model → the products that are converted, which may be kept; None where none may.
    takes_ranges: whether it gains from the ranges that `calibration.measure_ranges` finds.
    has_engine: whether TensorRT takes its operators.
    """

    summary: str
    convert: Callable[..., ir.Model]
    tolerance: Tolerance
    products: Callable[[ir.Model], list[ir.Node]] | None = None
    takes_ranges: bool = False
    has_engine: bool = True


def _to_fp16(model: ir.Model) -> ir.Model:
    from sewd_export.precisions.fp16 import convert

    return convert(model)


def _to_int8(model: ir.Model, *, keep: Collection[str] = ()) -> ir.Model:
    from sewd_export.precisions.int8 import convert

    return convert(model, keep=keep)


def _row_products(model: ir.Model) -> list[ir.Node]:
    from sewd_export.precisions.int8.quantize_rows import QuantizeRows

    return QuantizeRows().products(model)


def _to_int8_static(model: ir.Model, *, keep: Collection[str] = (), ranges: Ranges | None = None) -> ir.Model:
    from sewd_export.precisions.int8_static import convert

    return convert(model, keep=keep, ranges=ranges)


def _static_products(model: ir.Model) -> list[ir.Node]:
    from sewd_export.precisions.int8_static.quantize_with_constants import QuantizeWithConstants

    return QuantizeWithConstants().products(model)


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
        products=_row_products,
        has_engine=False,  # unsigned zero points, MatMulInteger
    ),
    "int8-static": Precision(
        summary="products in 8 bits with constant scales (QDQ), for OpenVINO, TensorRT and NPUs; "
        "calibrated with --calibrate, but needs no data",
        convert=_to_int8_static,
        # Largest seen: relative 0.067 and 20 of logits up to 38 on the digits model, where one sound starts a
        # frame earlier; relative 0.071 and batches 0.017 with random weights of SEW-D-tiny's dimensions.
        tolerance=Tolerance(max_abs=10.0, relative=1e-1, batch_error=5e-2),
        products=_static_products,
        takes_ranges=True,
    ),
}


def check_precisions(precisions: Sequence[str], *, has_bound: bool, is_calibrated: bool) -> tuple[str, ...]:
    """Return the precisions to write, float32 first; raises ExportError for what cannot be."""
    unknown = [name for name in precisions if name not in PRECISIONS]
    if unknown or not precisions:
        raise ExportError(f"precisions {list(precisions)}: choose from {', '.join(PRECISIONS)}")
    bounded = [name for name, row in PRECISIONS.items() if row.products is not None]
    calibrated = [name for name, row in PRECISIONS.items() if row.takes_ranges]
    for is_asked, option, able in (
        (has_bound, "max_wer_increase", bounded),
        (is_calibrated, "calibrate", calibrated),
    ):
        if is_asked and not set(able) & set(precisions):
            raise ExportError(f"precisions {list(precisions)}: {option} is for {', '.join(able)}")
    return tuple(dict.fromkeys((REFERENCE, *precisions)))


def converter(precision: str, ranges: Ranges | None) -> Callable[..., ir.Model]:
    """Return what converts a float32 model, with the ranges where it takes them."""
    row = PRECISIONS[precision]
    return partial(row.convert, ranges=ranges) if row.takes_ranges else row.convert


def stricter(one: Tolerance, other: Tolerance) -> Tolerance:
    """Return the tighter of each bound: a bundle cannot loosen what it is held to."""
    return Tolerance(
        max_abs=min(one.max_abs, other.max_abs),
        relative=min(one.relative, other.relative),
        batch_error=min(one.batch_error, other.batch_error),
    )
