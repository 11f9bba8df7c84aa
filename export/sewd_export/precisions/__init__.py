"""Precisions: what is stored and computed how, and how far each may be from the original.

The command reads this table for its flags, so conversions are imported when they run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sewd_export.errors import ExportError
from sewd_runtime.bundle.manifest import Tolerance

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

    Ranges = Mapping[str, NDArray[np.float32]]
    """Value name → the largest magnitude of each of its channels, `(channels,)` float32."""

REFERENCE = "fp32"
"""In every bundle; the others are flags of the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """One way to store and compute a model.

    summary: what it is for, as in the command's help.
    convert: float32 model → this precision's model; its argument is not changed. Keywords: `keep`, if there
        are `matmuls`: the names of those that stay in float32; `ranges`, if there are `calibrated_inputs`.
    tolerance: of the output, against the original in float32.
    remedy: what to try if it misses that.
    matmuls: float32 model → the matmuls that are converted, each of which can be kept; None if none can.
    calibrated_inputs: float32 model → the values whose ranges `convert` can use; None if it uses none.
    is_portable: whether it has only standard ONNX operators, which TensorRT needs.
    """

    summary: str
    convert: Callable[..., ir.Model]
    tolerance: Tolerance
    remedy: str
    matmuls: Callable[[ir.Model], list[ir.Node]] | None = None
    calibrated_inputs: Callable[[ir.Model], list[ir.Value]] | None = None
    is_portable: bool = True


def _imported(module: str, name: str) -> Callable[..., Any]:
    """Return a function of a precision's package, imported when it is first called."""

    def call(*arguments: Any, **options: Any) -> Any:
        return getattr(import_module(f"{__name__}.{module}"), name)(*arguments, **options)

    return call


PRECISIONS = {
    REFERENCE: Precision(
        summary="float32",
        convert=lambda model: model,
        tolerance=Tolerance(max_abs=1e-4, relative=1e-5, batch_error=1e-5),
        remedy="the graph is not the model; please report it with the config.json",
    ),
    "fp16": Precision(
        summary="mixed float16: half the size, for CUDA and TensorRT; no faster on a CPU",
        convert=_imported("fp16", "convert"),
        # Largest measured with every float16 value rounded, as on a GPU: 3.8e-2 of logits up to 38; relative
        # 2.8e-3; batches 8.2e-4. Over the digits model and every configuration of tests/parity.
        tolerance=Tolerance(max_abs=1e-1, relative=1e-2, batch_error=1e-2),
        remedy="its values may be too large for float16; try --int8 or leave out --fp16",
    ),
    "int8": Precision(
        summary="int8 matmuls with dynamic scales: a quarter of the size, for CPUs, through onnxruntime",
        convert=_imported("int8", "convert"),
        # Largest measured: 0.8 of logits up to 38, relative 8e-3 on the digits model; relative 0.06 with
        # random weights, on noise. A flipped rounding moves an item as far in a batch as alone.
        tolerance=Tolerance(max_abs=10.0, relative=1e-1, batch_error=5e-2),
        remedy="try --max-wer-increase 0 --evaluate RECORDINGS, or --fp16",
        matmuls=_imported("int8", "matmuls"),
        is_portable=False,  # MatMulIntegerToFloat of com.microsoft
    ),
    "int8-static": Precision(
        summary="int8 matmuls with constant scales (QDQ), for OpenVINO, TensorRT and NPUs; needs no "
        "data, but can use --calibrate",
        convert=_imported("int8_static", "convert"),
        # Largest measured: relative 0.067 and 20 of logits up to 38 on the digits model, where one sound
        # starts a frame earlier; relative 0.071 and batches 0.017 with random weights in SEW-D-tiny's size.
        tolerance=Tolerance(max_abs=10.0, relative=1e-1, batch_error=5e-2),
        remedy="try --int8-static --calibrate RECORDINGS, or --int8",
        matmuls=_imported("int8_static", "matmuls"),
        calibrated_inputs=_imported("int8_static", "calibrated_inputs"),
    ),
}


def check_precisions(precisions: Sequence[str], *, has_bound: bool, is_calibrated: bool) -> tuple[str, ...]:
    """Return the precisions to write, float32 first; raises ExportError for unknown or unsuitable ones."""
    unknown = [name for name in precisions if name not in PRECISIONS]
    if unknown or not precisions:
        raise ExportError(f"precisions {list(precisions)}: choose from {', '.join(PRECISIONS)}")
    for is_given, option, able in (
        (has_bound, "max_wer_increase", with_matmuls()),
        (is_calibrated, "calibrate", with_calibration()),
    ):
        if is_given and not set(able) & set(precisions):
            raise ExportError(f"precisions {list(precisions)}: {option} is for {', '.join(able)}")
    return tuple(dict.fromkeys((REFERENCE, *precisions)))


def with_matmuls() -> list[str]:
    """Return the precisions that can keep matmuls in float32."""
    return [name for name, precision in PRECISIONS.items() if precision.matmuls is not None]


def with_calibration() -> list[str]:
    """Return the precisions that can use measured ranges."""
    return [name for name, precision in PRECISIONS.items() if precision.calibrated_inputs is not None]


def calibrated_inputs(model: ir.Model, precisions: Sequence[str]) -> set[str]:
    """Return the names of the values whose ranges these precisions can use."""
    functions = [PRECISIONS[name].calibrated_inputs for name in precisions]
    return {str(value.name) for function in functions if function for value in function(model)}


def converter(precision: str, ranges: Ranges | None) -> Callable[..., ir.Model]:
    """Return the conversion of a float32 model, with the ranges if it can use them."""
    row = PRECISIONS[precision]
    return partial(row.convert, ranges=ranges) if row.calibrated_inputs else row.convert


def stricter(one: Tolerance, other: Tolerance) -> Tolerance:
    """Return the tighter of each bound."""
    return Tolerance(
        max_abs=min(one.max_abs, other.max_abs),
        relative=min(one.relative, other.relative),
        batch_error=min(one.batch_error, other.batch_error),
    )
