"""The variants that are compared on each model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.models import Prepared

Run: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""`(batch, samples)` float32 of equal lengths → logits `(batch, frames, vocab)` float32."""

REFERENCE = "torch fp32"
BASELINES = ("torch fp16", "torch.compile fp16")


class UnavailableError(RuntimeError):
    """A variant cannot run here; the message gives the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run a model.

    precision: of our graph, whose tolerance applies; None for torch.
    few_shapes: measure fewer shapes, because each new one takes long.
    """

    open: Callable[[Prepared, str], Run]
    precision: str | None = None
    few_shapes: bool = False


def find_variants() -> Mapping[str, Variant]:
    """Return all variants by name, the reference first."""
    from benchmarks.gpu.ort_variants import open_engine, open_ort, open_tensorrt
    from benchmarks.gpu.torch_variants import open_torch

    found = {
        REFERENCE: Variant(open=partial(open_torch, half=False)),
        "torch fp16": Variant(open=partial(open_torch, half=True)),
        "torch.compile fp16": Variant(open=partial(open_torch, half=True, compiled=True), few_shapes=True),
        "torch graphs fp16": Variant(open=partial(open_torch, half=True, graphs=True)),
    }
    for precision in ("fp32", "fp16", "int8-static"):
        opener = partial(open_ort, precision=precision)
        found[f"onnxruntime {precision}"] = Variant(open=opener, precision=precision)
        if precision != "int8-static":
            opener = partial(open_ort, precision=precision, graphs=True)
            found[f"onnxruntime graphs {precision}"] = Variant(open=opener, precision=precision)
        opener = partial(open_tensorrt, precision=precision)
        found[f"tensorrt {precision}"] = Variant(open=opener, precision=precision)
        opener = partial(open_engine, precision=precision)
        found[f"tensorrt-engine {precision}"] = Variant(open=opener, precision=precision)
    return found


def variants_of(prepared: Prepared) -> Mapping[str, Variant]:
    """Return the variants of a model; ours exist only for SEW-D."""
    ours = prepared.model.kind == "sew-d"
    return {name: row for name, row in find_variants().items() if ours or row.precision is None}
