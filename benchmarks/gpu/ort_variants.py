"""Our graphs: in onnxruntime, with and without CUDA graphs, in its TensorRT, and as engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu.models import RATE_HZ, Prepared
from gpu.variant import Run, UnavailableError
from sewd_runtime.tensorrt_engines import BatchShape, Profile

_NAMES = ("logits", "output_lengths")
_CUDA = {"use_tf32": "0", "cudnn_conv_algo_search": "EXHAUSTIVE"}


def open_ort(prepared: Prepared, device: str, *, precision: str, graphs: bool = False) -> Run:
    """Return a run in onnxruntime on the GPU, its buffers bound once for each shape; on a CPU, plain."""
    import onnxruntime

    if device != "cuda":
        if graphs:
            raise UnavailableError("CUDA graphs need CUDA")
        return _run_plain(_session(prepared.graph(precision), [("CPUExecutionProvider", {})]))
    _demand("CUDAExecutionProvider")
    onnxruntime.preload_dlls()
    settings = {**_CUDA, "enable_cuda_graph": "1"} if graphs else _CUDA
    session = _session(prepared.graph(precision), [("CUDAExecutionProvider", settings)])
    return _run_bound(session, prepared, graphs=graphs)


def open_tensorrt(prepared: Prepared, device: str, *, precision: str) -> Run:
    """Return a run through onnxruntime's TensorRT, with the runtime's own options."""
    from sewd_runtime.backends import Options
    from sewd_runtime.backends._onnxruntime_tensorrt import open_model

    _demand("TensorrtExecutionProvider")
    options = Options(device="TensorrtExecutionProvider", precision=precision, profiles=(_profile(prepared),))
    return _run_model(open_model(prepared.graph(precision), options))


def open_engine(prepared: Prepared, device: str, *, precision: str) -> Run:
    """Build an engine for this GPU, and return a run of it by the runtime's own backend."""
    from sewd_export.errors import ExportError
    from sewd_export.tensorrt.builder import build, capability_here, find_library
    from sewd_runtime.backends import Options
    from sewd_runtime.backends._tensorrt import open_model
    from sewd_runtime.errors import SewdError

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


def _session(path: Path, providers: list[Any]) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=providers)
    if session.get_providers()[0] != providers[0][0]:
        raise UnavailableError(f"onnxruntime left {providers[0][0]} for {session.get_providers()[0]}")
    return session


def _profile(prepared: Prepared) -> Profile:
    shapes = ((1, 0.0), (1, 10.0), (16, 30.0))
    smallest, usual, largest = (
        BatchShape(batch=batch, samples=max(prepared.numbers["min_samples"], round(seconds * RATE_HZ)))
        for batch, seconds in shapes
    )
    return Profile(min=smallest, opt=usual, max=largest)


def _lengths(samples: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.full(len(samples), samples.shape[1], np.int64)


def _run_plain(session: Any) -> Run:
    def run(samples: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = session.run(
            list(_NAMES), {"input_values": samples, "input_lengths": _lengths(samples)}
        )[0]
        return found

    return run


def _run_model(model: Any) -> Run:
    def run(samples: NDArray[np.float32]) -> NDArray[np.float32]:
        feed = {"input_values": samples, "input_lengths": _lengths(samples)}
        found: NDArray[np.float32] = model.run(_NAMES, feed)[0]
        return found

    return run


def _run_bound(session: Any, prepared: Prepared, *, graphs: bool) -> Run:
    """Run with inputs and outputs on the GPU, at addresses that stay: a graph needs them."""
    import onnxruntime

    bound: dict[tuple[int, ...], tuple[Any, Any, Any, Any]] = {}

    def bind(samples: NDArray[np.float32]) -> tuple[Any, Any, Any, Any]:
        batch, num_samples = samples.shape
        frames = prepared.num_frames(num_samples)
        on_gpu = onnxruntime.OrtValue.ortvalue_from_shape_and_type
        values = onnxruntime.OrtValue.ortvalue_from_numpy(samples, "cuda", 0)
        lengths = onnxruntime.OrtValue.ortvalue_from_numpy(_lengths(samples), "cuda", 0)
        logits = on_gpu((batch, frames, prepared.numbers["num_outputs"]), np.float32, "cuda", 0)
        counts = on_gpu((batch,), np.int64, "cuda", 0)
        binding = session.io_binding()
        binding.bind_ortvalue_input("input_values", values)
        binding.bind_ortvalue_input("input_lengths", lengths)
        binding.bind_ortvalue_output("logits", logits)
        binding.bind_ortvalue_output("output_lengths", counts)
        options = onnxruntime.RunOptions()
        if graphs:
            options.add_run_config_entry("gpu_graph_id", str(len(bound) + 1))
        return binding, options, values, logits

    def run(samples: NDArray[np.float32]) -> NDArray[np.float32]:
        if samples.shape not in bound:
            bound[samples.shape] = bind(samples)
        binding, options, values, logits = bound[samples.shape]
        values.update_inplace(np.ascontiguousarray(samples))
        session.run_with_iobinding(binding, options)
        found: NDArray[np.float32] = logits.numpy()
        return found

    return run
