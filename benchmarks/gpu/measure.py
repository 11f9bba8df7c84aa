"""Parity, latency, throughput and memory of one variant; times include copies to and from the GPU."""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.gpu.models import RATE_HZ
from benchmarks.gpu.variant import Run
from sewd_runtime.system.packages import find_packages


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The shapes to time: batch 1 on clips of `clips_s`, `batches` of `batch_clip_s`, `runs` runs of each."""

    clips_s: Sequence[float] = (2.0, 10.0, 30.0)
    batches: Sequence[int] = (1, 4, 16, 64)
    batch_clip_s: float = 10.0
    runs: int = 30
    warm_up: int = 3
    seconds: float = 5.0  # limit for one shape, after five runs

    def few(self) -> Settings:
        """Return settings with one clip, alone and in one batch."""
        batches = (1, self.batches[len(self.batches) // 2])
        return replace(self, clips_s=(self.batch_clip_s,), batches=batches)


def compute_logits(run: Run, clips: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Run each utterance alone: name → `(frames, vocab)`."""
    return {name: run(samples[None])[0] for name, samples in clips.items()}


def time_all(run: Run, settings: Settings) -> list[dict[str, Any]]:
    """Return a row for each shape: p50 and p90 in milliseconds, and RTFx, audio over time at p50."""
    shapes = [(1, clip_s) for clip_s in settings.clips_s]
    shapes += [(batch, settings.batch_clip_s) for batch in settings.batches]
    return [_time(run, batch, clip_s, settings) for batch, clip_s in dict.fromkeys(shapes)]


def _time(run: Run, batch: int, clip_s: float, settings: Settings) -> dict[str, Any]:
    random = np.random.default_rng((batch, round(clip_s)))
    samples = (0.1 * random.standard_normal((batch, round(clip_s * RATE_HZ)))).astype(np.float32)
    for _ in range(settings.warm_up):
        run(samples)
    taken: list[float] = []
    started = time.perf_counter()
    while len(taken) < settings.runs:
        if len(taken) >= min(5, settings.runs) and time.perf_counter() - started > settings.seconds:
            break
        begun = time.perf_counter()
        run(samples)  # the result is in host memory, so the run is complete
        taken.append(time.perf_counter() - begun)
    p50, p90 = np.quantile(taken, (0.5, 0.9))
    return {
        "batch": batch,
        "clip_s": clip_s,
        "is_batch_clip": clip_s == settings.batch_clip_s,
        "runs": len(taken),
        "p50_ms": 1000 * float(p50),
        "p90_ms": 1000 * float(p90),
        "rtfx": batch * clip_s / float(p50),
    }


def used_memory_mb(device: str) -> float:
    """Return the GPU memory in use by all libraries, or the peak resident memory of this process."""
    if device != "cuda":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    return float(subprocess.run(query, capture_output=True, text=True, check=True).stdout)


def describe(device: str) -> dict[str, Any]:
    """Return the machine, the GPU's name and the versions of the packages."""
    packages = ("torch", "transformers", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-rtx-cu13")
    gpu = None
    if device == "cuda":
        import torch

        gpu = torch.cuda.get_device_name(0)
    return {**machine.describe(), "gpu": gpu, "versions": find_packages(packages)}
