"""Our graphs in onnxruntime, with and without CUDA graphs, in its TensorRT provider, and as engines."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.models import RATE_HZ, Prepared
from benchmarks.gpu.variant import Run, UnavailableError
from sewd_runtime.bundle.engines import BatchShape, Profile

_NAMES = ("logits", "output_lengths")


def open_ort(prepared: Prepared, device: str, *, precision: str, graphs: bool = False) -> Run:
    """Return a run in onnxruntime through the runtime's own backend and settings, on GPU or CPU."""
    from sewd_runtime.inference.backends import Options
    from sewd_runtime.inference.backends.onnxruntime.backend import open_model
    from sewd_runtime.inference.backends.onnxruntime.cuda_graphs import SETTING
    from sewd_runtime.inference.providers import PROVIDERS

    if graphs and device != "cuda":
        raise UnavailableError("CUDA graphs need CUDA")
    row = PROVIDERS[device]
    _demand(row.device)
    options = Options(
        device=row.device,
        settings={**row.settings, **({SETTING: "1"} if graphs else {})},
        cpu_share=row.cpu_share,
        profiles=(_profile(prepared),),
    )
    return _run_model(open_model(prepared.graph(precision), options))


def open_tensorrt(prepared: Prepared, device: str, *, precision: str) -> Run:
    """Return a run through onnxruntime's TensorRT provider with the runtime's own options."""
    from sewd_runtime.inference.backends import Options
    from sewd_runtime.inference.backends.onnxruntime.tensorrt_backend import open_model

    _demand("TensorrtExecutionProvider")
    options = Options(device="TensorrtExecutionProvider", precision=precision, profiles=(_profile(prepared),))
    return _run_model(open_model(prepared.graph(precision), options))


def open_engine(prepared: Prepared, device: str, *, precision: str) -> Run:
    """Build an engine for this GPU, and return a run of it through the runtime's own backend."""
    from sewd_export.errors import ExportError
    from sewd_export.tensorrt.builder import build, capability_here, find_library
    from sewd_runtime.errors import SewdError
    from sewd_runtime.inference.backends import Options
    from sewd_runtime.inference.backends.tensorrt.backend import open_model

    profiles = (_profile(prepared),)
    try:
        library, capability = find_library(is_capability_named=False), capability_here()
        built = build(library, prepared.graph(precision), compute_capability=capability, profiles=profiles)
    except (SewdError, ExportError) as error:
        raise UnavailableError(str(error)) from error
    path = prepared.folder / f"model.{precision}.{library.name}.here.engine"
    path.write_bytes(built.engine)
    return _run_model(open_model(path, Options(device="GPU", precision=precision, profiles=profiles)))


def _demand(provider: str) -> None:
    import onnxruntime

    if provider not in onnxruntime.get_available_providers():
        raise UnavailableError(f"this onnxruntime {onnxruntime.__version__} has no {provider}")


def _profile(prepared: Prepared) -> Profile:
    shapes = ((1, 0.0), (1, 10.0), (16, 30.0))
    smallest, usual, largest = (
        BatchShape(batch=batch, samples=max(prepared.numbers["min_samples"], round(seconds * RATE_HZ)))
        for batch, seconds in shapes
    )
    return Profile(min=smallest, opt=usual, max=largest)


def _lengths(samples: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.full(len(samples), samples.shape[1], np.int64)


def _run_model(model: Any) -> Run:
    def run(samples: NDArray[np.float32]) -> NDArray[np.float32]:
        feed = {"input_values": samples, "input_lengths": _lengths(samples)}
        found: NDArray[np.float32] = model.run(_NAMES, feed)[0]
        return found

    return run
