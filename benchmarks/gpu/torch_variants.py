"""transformers' own model: eager, through torch.compile, and as a CUDA graph for each shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.models import Prepared
from benchmarks.gpu.variant import Run, UnavailableError
from benchmarks.parity import normalise


def open_torch(
    prepared: Prepared, device: str, *, half: bool, compiled: bool = False, graphs: bool = False
) -> Run:
    """Return a run of the original: samples in, float32 logits out, copies to and from the GPU included."""
    import torch
    from transformers import AutoModelForCTC

    if graphs and device != "cuda":
        raise UnavailableError("CUDA graphs need CUDA")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    dtype = torch.float16 if half else torch.float32
    model = AutoModelForCTC.from_pretrained(prepared.checkpoint, dtype=dtype).eval().to(device)
    forward: Any = _compile(model) if compiled else model
    captured: dict[tuple[int, ...], tuple[Any, Any, Any]] = {}

    def infer(values: Any) -> Any:
        return forward(values).logits

    def replay(values: Any) -> Any:
        if tuple(values.shape) not in captured:
            captured[tuple(values.shape)] = _capture(infer, values)
        graph, static, logits = captured[tuple(values.shape)]
        static.copy_(values)
        graph.replay()
        return logits

    def run(samples: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            values = torch.from_numpy(normalise(samples)).to(device, dtype)
            found: NDArray[np.float32] = (replay if graphs else infer)(values).float().cpu().numpy()
            return found

    return run


def _compile(model: Any) -> Any:
    """Compile for each shape; beyond torch's default limit of 8 shapes it would silently run eager."""
    import torch
    import torch._dynamo

    torch._dynamo.config.recompile_limit = 64
    return torch.compile(model, dynamic=False)


def _capture(infer: Any, values: Any) -> tuple[Any, Any, Any]:
    """Return a CUDA graph for a shape with its input and output tensors, after three warm-up runs."""
    import torch

    static = values.clone()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            infer(static)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        logits = infer(static)
    return graph, static, logits
