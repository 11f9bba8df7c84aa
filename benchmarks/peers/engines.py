"""Openers: each loads one model and returns a function from samples to logits.

An opener is called as `open(path, threads, options)` and gives `run(samples) -> logits`: `(samples,)` float32
in [-1, 1] at 16 kHz in, `(frames, vocab)` float32 out. Normalising the samples is part of every run. Each
function imports its library itself, because an environment holds only one or two of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.parity import normalise

Samples = NDArray[np.float32]
Run = Callable[[Samples], NDArray[np.float32]]


class UnsupportedError(RuntimeError):
    """This machine cannot run the variant."""


def open_torch(path: Path, threads: int, options: Mapping[str, str]) -> Run:
    """Open transformers' own model, eager."""
    return _as_run(_torch_model(path, threads))


def open_compiled(path: Path, threads: int, options: Mapping[str, str]) -> Run:
    """Open transformers' model through torch.compile with dynamic shapes."""
    import torch

    return _as_run(torch.compile(_torch_model(path, threads), dynamic=True))


def _torch_model(path: Path, threads: int) -> Any:
    import torch
    from transformers import AutoModelForCTC

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    return AutoModelForCTC.from_pretrained(path, dtype=torch.float32).eval()


def _as_run(model: Any) -> Run:
    import torch

    def run(samples: Samples) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits = model(torch.from_numpy(normalise(samples[None]))).logits[0]
        return logits.numpy()  # type: ignore[no-any-return]

    return run


def open_onnxruntime(path: Path, threads: int, options: Mapping[str, str]) -> Run:
    """Open an exported graph in onnxruntime with its default settings, spinning threads included."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    output = session.get_outputs()[0].name

    def run(samples: Samples) -> NDArray[np.float32]:
        return session.run([output], {"input_values": normalise(samples[None])})[0][0]  # type: ignore[no-any-return]

    return run


def open_openvino(path: Path, threads: int, options: Mapping[str, str]) -> Run:
    """Open a graph in OpenVINO on the CPU, one stream of `threads` threads.

    options: `precision_hint`, f32 or bf16.
    """
    import openvino

    core = openvino.Core()
    hint = options["precision_hint"]
    if hint == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise UnsupportedError("the CPU has no bf16")
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": hint,
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = core.compile_model(path, "CPU", settings)
    request = compiled.create_infer_request()

    def run(samples: Samples) -> NDArray[np.float32]:
        request.infer({"input_values": normalise(samples[None])})
        return request.get_output_tensor(0).data[0].copy()  # type: ignore[no-any-return]

    return run


def open_sewd(path: Path, threads: int, options: Mapping[str, str]) -> Run:
    """Open the bundle of a model file with our runtime; `options` go to `load`."""
    import sewd_runtime

    recognizer: Any = sewd_runtime.load(path.parent, threads=threads, **options)

    def run(samples: Samples) -> NDArray[np.float32]:
        return recognizer.logits([samples])[0]  # type: ignore[no-any-return]

    return run
