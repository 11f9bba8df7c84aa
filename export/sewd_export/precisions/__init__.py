"""Precisions: what is stored and computed how, and how far each may be from the original.

Their conversions are imported when they run: the command reads this table for its flags.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sewd_runtime.manifest import Tolerance

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["PRECISIONS", "REFERENCE", "Precision", "stricter"]

REFERENCE = "fp32"
"""In every bundle; the others are flags of the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """One way to store and compute a model.

    summary: what it is for, in the words of the command's help.
    convert: float32 model → this precision's model; does not change its argument. With `keep`, where there
        are `products`, those of these names stay in float32.
    tolerance: of the output, against the original in float32.
    products: float32 model → the products that are converted, which may be kept; None where none may.
    """

    summary: str
    convert: Callable[..., ir.Model]
    tolerance: Tolerance
    products: Callable[[ir.Model], list[ir.Node]] | None = None


def _to_fp16(model: ir.Model) -> ir.Model:
    from sewd_export.precisions.fp16 import convert

    return convert(model)


def _to_int8(model: ir.Model, *, keep: Collection[str] = ()) -> ir.Model:
    from sewd_export.precisions.int8 import convert

    return convert(model, keep=keep)


def _row_products(model: ir.Model) -> list[ir.Node]:
    from sewd_export.precisions._rows import QuantizeRows

    return QuantizeRows().products(model)


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
    ),
}


def stricter(one: Tolerance, other: Tolerance) -> Tolerance:
    """Return the tighter of each bound: a bundle cannot loosen what it is held to."""
    return Tolerance(
        max_abs=min(one.max_abs, other.max_abs),
        relative=min(one.relative, other.relative),
        batch_error=min(one.batch_error, other.batch_error),
    )
