"""Precisions: what is stored and computed how, and how far each may be from the original."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from sewd_runtime.manifest import Tolerance

__all__ = ["PRECISIONS", "Precision", "stricter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """One way to store and compute a model.

    convert: float32 model → this precision's model; does not change its argument.
    tolerance: of the output, against the original in float32.
    """

    convert: Callable[[ir.Model], ir.Model]
    tolerance: Tolerance


PRECISIONS = {
    "fp32": Precision(
        convert=lambda model: model,
        tolerance=Tolerance(max_abs=1e-4, relative=1e-5, batch_error=1e-5),
    ),
}


def stricter(one: Tolerance, other: Tolerance) -> Tolerance:
    """Return the tighter of each bound: a bundle cannot loosen what it is held to."""
    return Tolerance(
        max_abs=min(one.max_abs, other.max_abs),
        relative=min(one.relative, other.relative),
        batch_error=min(one.batch_error, other.batch_error),
    )
