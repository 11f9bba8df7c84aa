"""TensorRT engines that were built ahead of time, run by `tensorrt` or `tensorrt_rtx`.

Batches are padded to buckets; each bucket is captured as a CUDA graph once and launched from then on.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.bundle.engines import EngineEntry, Profile
from sewd_runtime.errors import EngineMismatchError, MissingPackageError, ModelError
from sewd_runtime.inference.backends import Options, Tensor
from sewd_runtime.inference.backends.buckets import Bucket, Feed, run_in_buckets
from sewd_runtime.inference.backends.tensorrt.cuda import call, compute_capability, import_cuda
from sewd_runtime.system.packages import find_version

NAME = "tensorrt"

_PACKAGES = {
    "tensorrt-rtx": ("tensorrt_rtx", ("tensorrt-rtx-cu13", "tensorrt-rtx-cu12", "tensorrt-rtx")),
    "tensorrt": ("tensorrt", ("tensorrt-cu13", "tensorrt-cu12", "tensorrt")),
}
_DTYPES = {"float32": "FLOAT", "int64": "INT64"}
MAX_GRAPHS = 32
"""Number of buckets whose buffers and graph are kept; the least recently used is freed first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Buffers:
    """A bucket's buffers on the GPU and on the host, and its graph; None if it cannot be captured."""

    device: Mapping[str, int]
    host: Mapping[str, NDArray[Any]]
    graph: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRtModel:
    """An engine with a context for each profile; concurrent runs wait for one another."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    profiles: tuple[Profile, ...]
    cuda: Any
    stream: Any
    contexts: Sequence[Any]
    buffers: "OrderedDict[Bucket, _Buffers]" = field(default_factory=OrderedDict)
    lock: Any = field(default_factory=threading.Lock)

    def run(self, names: Sequence[str], feed: Feed) -> Sequence[NDArray[Any]]:
        """Run one batch, in parts if it is larger than the profile takes."""
        with self.lock:
            return run_in_buckets(lambda bucket, part: self._run(names, bucket, part), feed, self.profiles)

    def _run(self, names: Sequence[str], bucket: Bucket, feed: Feed) -> Sequence[NDArray[Any]]:
        buffers = self._find_buffers(bucket)
        for name, values in feed.items():
            np.copyto(buffers.host[name], values)
            self._to_device(buffers.device[name], buffers.host[name])
        if buffers.graph is None:
            self._enqueue(bucket)
        else:
            call(self.cuda, "cudaGraphLaunch", buffers.graph, self.stream)
        for name in names:
            self._to_host(buffers.host[name], buffers.device[name])
        call(self.cuda, "cudaStreamSynchronize", self.stream)
        return [buffers.host[name].copy() for name in names]

    def _to_device(self, address: int, values: NDArray[Any]) -> None:
        kind = self.cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        origin = values.ctypes.data
        call(self.cuda, "cudaMemcpyAsync", address, origin, values.nbytes, kind, self.stream)

    def _to_host(self, values: NDArray[Any], address: int) -> None:
        kind = self.cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        target = values.ctypes.data
        call(self.cuda, "cudaMemcpyAsync", target, address, values.nbytes, kind, self.stream)

    def _enqueue(self, bucket: Bucket) -> None:
        if not self.contexts[bucket.profile].execute_async_v3(int(self.stream)):
            raise RuntimeError(f"TensorRT could not run {bucket.shape}")

    def _find_buffers(self, bucket: Bucket) -> _Buffers:
        if bucket in self.buffers:
            self.buffers.move_to_end(bucket)
            self._bind(bucket, self.buffers[bucket].device)
            return self.buffers[bucket]
        if len(self.buffers) >= MAX_GRAPHS:
            self._free(self.buffers.popitem(last=False)[1])
        self.buffers[bucket] = self._make_buffers(bucket)
        return self.buffers[bucket]

    def _make_buffers(self, bucket: Bucket) -> _Buffers:
        """Allocate a bucket's buffers, run it once to load everything, and capture a run as a graph."""
        context = self._set_shape(bucket)
        host = {
            tensor.name: np.zeros(tuple(context.get_tensor_shape(tensor.name)), tensor.dtype)
            for tensor in (*self.inputs, *self.outputs)
        }
        host["input_lengths"][:] = bucket.shape.samples
        device = {name: call(self.cuda, "cudaMalloc", values.nbytes) for name, values in host.items()}
        self._bind(bucket, device)
        for name in ("input_values", "input_lengths"):
            self._to_device(device[name], host[name])
        self._enqueue(bucket)
        call(self.cuda, "cudaStreamSynchronize", self.stream)
        return _Buffers(device=device, host=host, graph=self._capture(bucket))

    def _set_shape(self, bucket: Bucket) -> Any:
        context, size = self.contexts[bucket.profile], bucket.shape
        context.set_input_shape("input_values", (size.batch, size.samples))
        context.set_input_shape("input_lengths", (size.batch,))
        return context

    def _bind(self, bucket: Bucket, device: Mapping[str, int]) -> None:
        context = self._set_shape(bucket)
        for name, address in device.items():
            context.set_tensor_address(name, int(address))

    def _capture(self, bucket: Bucket) -> Any:
        """Return the graph of one run, None if this TensorRT cannot capture it."""
        is_capturable = getattr(self.contexts[bucket.profile], "is_stream_capturable", None)
        if is_capturable is not None and not is_capturable(int(self.stream)):
            return None
        mode = self.cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        call(self.cuda, "cudaStreamBeginCapture", self.stream, mode)
        try:
            self._enqueue(bucket)
        finally:
            captured = call(self.cuda, "cudaStreamEndCapture", self.stream)
        graph = call(self.cuda, "cudaGraphInstantiate", captured, 0)
        call(self.cuda, "cudaGraphDestroy", captured)
        return graph

    def _free(self, buffers: _Buffers) -> None:
        if buffers.graph is not None:
            call(self.cuda, "cudaGraphExecDestroy", buffers.graph)
        for address in buffers.device.values():
            call(self.cuda, "cudaFree", address)


def installed_version() -> str | None:
    """Return the version of `tensorrt_rtx`, else of `tensorrt`."""
    return next(iter(installed_versions().values()), None)


def installed_versions() -> dict[str, str]:
    """Return builder → version, of the builders that are installed."""
    versions = {
        builder: find_version(module, packages=packages) for builder, (module, packages) in _PACKAGES.items()
    }
    return {builder: version for builder, version in versions.items() if version is not None}


def devices() -> Sequence[str]:
    """Return the one device, a GPU; raises ImportError, or ProviderError with the reason if there is none."""
    if not installed_versions():
        raise MissingPackageError("neither tensorrt_rtx nor tensorrt is installed")
    compute_capability()
    return ("GPU",)


def choose_engine(
    entries: Sequence[EngineEntry], *, capability: str, versions: Mapping[str, str]
) -> EngineEntry:
    """Return the first engine for this GPU that an installed library can load.

    versions: builder → version. Raises EngineMismatchError with the reason against each engine.
    """
    reasons = []
    for entry in entries:
        version = versions.get(entry.builder)
        if entry.compute_capability != capability:
            reason = f"is for compute capability {entry.compute_capability}, but this GPU has {capability}"
        elif version is None:
            reason = f"needs {entry.builder}, which is not installed"
        elif version != entry.version:
            reason = f"was built by {entry.builder} {entry.version}, but {version} is installed"
        else:
            return entry
        reasons.append(f"{entry.name} {reason}")
    raise EngineMismatchError(
        f"no engine fits: {'; '.join(reasons)}; export with --tensorrt --compute-capability {capability} "
        f"and the version that is installed here"
    )


def choose_engine_here(entries: Sequence[EngineEntry]) -> EngineEntry:
    """Return the engine for this machine's GPU; raises EngineMismatchError, ProviderError."""
    return choose_engine(entries, capability=compute_capability(), versions=installed_versions())


def open_model(path: Path, options: Options) -> TensorRtModel:
    """Load an engine file; raises ModelError if the library refuses it."""
    cuda, trt = import_cuda(), import_module(_PACKAGES[path.name.split(".")[-3]][0])
    runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
    engine = runtime.deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        raise ModelError(f"{path}: {trt.__name__} {trt.__version__} does not load it; export it again")
    stream = call(cuda, "cudaStreamCreate")
    contexts = []
    for index in range(engine.num_optimization_profiles):
        context = engine.create_execution_context()
        context.set_optimization_profile_async(index, int(stream))
        contexts.append(context)
    call(cuda, "cudaStreamSynchronize", stream)
    names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    return TensorRtModel(
        inputs=tuple(_tensor(engine, name) for name in inputs),
        outputs=tuple(_tensor(engine, name) for name in names if name not in inputs),
        profiles=options.profiles,
        cuda=cuda,
        stream=stream,
        contexts=contexts,
    )


def _tensor(engine: Any, name: str) -> Tensor:
    dtypes = {theirs: ours for ours, theirs in _DTYPES.items()}
    theirs = engine.get_tensor_dtype(name).name
    shape = tuple(None if axis < 0 else int(axis) for axis in engine.get_tensor_shape(name))
    return Tensor(name=name, dtype=dtypes.get(theirs, theirs), shape=shape)
