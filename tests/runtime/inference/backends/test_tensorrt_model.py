"""Laws of the code around an engine: buffers, graphs by bucket, parts, with stand-ins for CUDA and engine.

They keep device memory in host memory and compute in onnxruntime. That tests that the right bytes are at
the right addresses in the right order; it tests neither TensorRT nor CUDA.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sewd_runtime.bundle.engines import BatchShape, Profile
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.inference.backends import Options
from sewd_runtime.inference.backends.onnxruntime import backend as onnxruntime_backend
from sewd_runtime.inference.backends.tensorrt import backend as tensorrt_backend
from sewd_runtime.inference.backends.tensorrt.backend import TensorRtModel
from sewd_runtime.inference.session import pad

NAMES = ("logits", "output_lengths")


def profile(*shapes: tuple[int, int]) -> Profile:
    smallest, usual, largest = (BatchShape(batch=batch, samples=samples) for batch, samples in shapes)
    return Profile(min=smallest, opt=usual, max=largest)


PROFILES = (profile((1, 400), (1, 8_000), (4, 16_000)), profile((1, 16_000), (1, 24_000), (2, 48_000)))


class Cuda:
    """Device memory is a buffer of this process; work that is captured is kept and not done."""

    cudaError_t = SimpleNamespace(cudaSuccess="ok")  # noqa: N815 - CUDA's names
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)  # noqa: N815
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)  # noqa: N815

    def __init__(self) -> None:
        self.memory: dict[int, Any] = {}
        self.captured: list[Callable[[], None]] | None = None
        self.launched = 0

    def enqueue(self, work: Callable[[], None]) -> None:
        work() if self.captured is None else self.captured.append(work)

    def cudaMalloc(self, size: int) -> tuple[str, int]:  # noqa: N802
        buffer = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(buffer)] = buffer
        return "ok", ctypes.addressof(buffer)

    def cudaFree(self, address: int) -> tuple[str]:  # noqa: N802
        del self.memory[address]
        return ("ok",)

    def cudaMemcpyAsync(self, to: int, origin: int, size: int, *_: int) -> tuple[str]:  # noqa: N802
        ctypes.memmove(to, origin, size)
        return ("ok",)

    def cudaStreamSynchronize(self, stream: int) -> tuple[str]:  # noqa: N802
        return ("ok",)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[str]:  # noqa: N802
        self.captured = []
        return ("ok",)

    def cudaStreamEndCapture(self, stream: int) -> tuple[str, Any]:  # noqa: N802
        found, self.captured = self.captured, None
        return "ok", found

    def cudaGraphInstantiate(self, graph: Any, flags: int) -> tuple[str, Any]:  # noqa: N802
        return "ok", tuple(graph)

    def cudaGraphLaunch(self, graph: Any, stream: int) -> tuple[str]:  # noqa: N802
        self.launched += 1
        for work in graph:
            work()
        return ("ok",)

    def cudaGraphDestroy(self, graph: Any) -> tuple[str]:  # noqa: N802
        return ("ok",)

    def cudaGraphExecDestroy(self, graph: Any) -> tuple[str]:  # noqa: N802
        return ("ok",)


class Context:
    """A context whose engine is a model in onnxruntime; addresses are fixed when a run is enqueued."""

    def __init__(self, cuda: Cuda, model: Any, taken: Profile, *, is_capturable: bool) -> None:
        self.cuda, self.model, self.taken, self.is_capturable = cuda, model, taken, is_capturable
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.enqueued = 0

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        assert self.taken.min.batch <= shape[0] <= self.taken.max.batch
        self.shapes[name] = shape

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        batch, samples = self.shapes["input_values"]
        known = {**self.shapes, "logits": (batch, samples // 80, 32), "output_lengths": (batch,)}
        return known[name]

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def is_stream_capturable(self, stream: int) -> bool:
        return self.is_capturable

    def execute_async_v3(self, stream: int) -> bool:
        addresses = dict(self.addresses)
        shapes = {name: self.get_tensor_shape(name) for name in addresses}
        self.enqueued += 1

        def work() -> None:
            kinds = {"input_values": np.float32, "input_lengths": np.int64}
            feed = {name: view(addresses[name], shapes[name], kind).copy() for name, kind in kinds.items()}
            logits, lengths = self.model.run(NAMES, feed)
            view(addresses["logits"], shapes["logits"], np.float32)[:] = logits
            view(addresses["output_lengths"], shapes["output_lengths"], np.int64)[:] = lengths

        self.cuda.enqueue(work)
        return True


def view(address: int, shape: tuple[int, ...], kind: Any) -> np.ndarray:
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(address), kind).reshape(shape)


@pytest.fixture(scope="module")
def plain(tiny_bundle: Path) -> Any:
    path = open_bundle(tiny_bundle).path_of("model.fp32.onnx")
    return onnxruntime_backend.open_model(path, Options(device="CPUExecutionProvider", threads=1))


def engine(plain: Any, cuda: Cuda, *, is_capturable: bool = True) -> TensorRtModel:
    return TensorRtModel(
        inputs=plain.inputs,
        outputs=plain.outputs,
        profiles=PROFILES,
        cuda=cuda,
        stream=0,
        contexts=[Context(cuda, plain, taken, is_capturable=is_capturable) for taken in PROFILES],
    )


def batches(seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    found = []
    for lengths in ([400], [5_001, 4_800], [900] * 9, [16_001, 40_000], [399, 80], [5_000, 4_999]):
        values, counts = pad([rng.normal(0, 0.1, length).astype(np.float32) for length in lengths])
        found.append({"input_values": values, "input_lengths": counts})
    return found


@pytest.mark.parametrize("is_capturable", [True, False])
def test_an_engine_gives_what_its_model_gives(plain: Any, is_capturable: bool) -> None:
    """Also at the second run, from the graph of the first, with other samples in the same buffers."""
    cuda = Cuda()
    model = engine(plain, cuda, is_capturable=is_capturable)
    for feed in (*batches(1), *batches(2)):
        wanted, frames = plain.run(NAMES, feed)
        found, found_frames = model.run(NAMES, feed)
        np.testing.assert_array_equal(found_frames, frames)
        for item, other, length in zip(found, wanted, frames, strict=True):
            np.testing.assert_allclose(item[:length], other[:length], atol=1e-4)
    assert (cuda.launched > 0) is is_capturable


def test_a_bucket_is_captured_once(plain: Any) -> None:
    cuda = Cuda()
    model = engine(plain, cuda)
    for feed in (*batches(1), *batches(2)):
        model.run(NAMES, feed)
    contexts: Any = model.contexts
    assert sum(context.enqueued for context in contexts) == 2 * len(
        model.buffers
    )  # once to warm, once captured
    assert cuda.launched > 2 * len(model.buffers)


def test_memory_does_not_grow_with_the_shapes(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_backend, "MAX_GRAPHS", 3)
    cuda = Cuda()
    model = engine(plain, cuda)
    for length in range(1_000, 9_000, 1_000):
        values, counts = pad([np.zeros(length, np.float32)])
        model.run(NAMES, {"input_values": values, "input_lengths": counts})
    assert len(model.buffers) == 3
    assert len(cuda.memory) == 3 * 4


def test_results_are_held_by_nothing_else(plain: Any) -> None:
    model = engine(plain, Cuda())
    first, second = batches(1)[0], batches(2)[0]
    before = model.run(NAMES, first)[0]
    kept = before.copy()
    model.run(NAMES, second)
    np.testing.assert_array_equal(before, kept)
