"""Parity, latency, throughput and memory of one variant; copies to and from the GPU are timed too."""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.models import RATE_HZ
from benchmarks.gpu.variant import Run

Logits = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is timed: batch 1 on clips of these seconds, batches of `batch_clip_s`, so many runs of each."""

    clips_s: Sequence[float] = (2.0, 10.0, 30.0)
    batches: Sequence[int] = (1, 4, 16, 64)
    batch_clip_s: float = 10.0
    runs: int = 30
    warm_up: int = 3
    seconds: float = 5.0  # at most, for one shape, once five runs are done

    def few(self) -> Settings:
        """Return the same with one clip, alone and in one batch."""
        batches = (1, self.batches[len(self.batches) // 2])
        return replace(self, clips_s=(self.batch_clip_s,), batches=batches)


def compute_logits(run: Run, clips: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Run each utterance alone: name → `(frames, vocab)`."""
    return {name: run(samples[None])[0] for name, samples in clips.items()}


def compare(found: Logits, reference: Logits) -> dict[str, Any]:
    """Return largest and relative error, the share of equal labels, and how many utterances read the same."""
    difference = norm = 0.0
    largest, same, frames, equal = 0.0, 0, 0, 0
    for name, expected in reference.items():
        if found[name].shape != expected.shape:
            raise ValueError(f"{name}: logits of {found[name].shape}, the reference has {expected.shape}")
        error = np.abs(found[name].astype(np.float64) - expected)
        if not np.isfinite(error).all():
            raise ValueError(f"{name}: logits that are no numbers")
        largest = max(largest, float(error.max()))
        difference, norm = difference + float(np.square(error).sum()), norm + float(np.square(expected).sum())
        labels, wanted = found[name].argmax(-1), expected.argmax(-1)
        same, frames = same + int((labels == wanted).sum()), frames + len(wanted)
        equal += np.array_equal(_collapse(labels), _collapse(wanted))
    return {
        "max_abs": largest,
        "relative": (difference / norm) ** 0.5,
        "label_agreement": same / frames,
        "equal_transcripts": equal,
        "utterances": len(reference),
    }


def _collapse(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Merge repeats and drop the blank, id 0."""
    merged = labels[np.append(True, labels[1:] != labels[:-1])]
    return merged[merged != 0]


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
        run(samples)  # its result is in the processor's memory, so it is done
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
    """Return the GPU's memory in use, by all libraries, or this process's largest resident memory."""
    if device != "cuda":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    return float(subprocess.run(query, capture_output=True, text=True, check=True).stdout)


def describe(device: str) -> dict[str, Any]:
    """Return the machine, the GPU's name and the versions: what decides the figures."""
    from importlib.metadata import PackageNotFoundError, version

    from benchmarks.peers import machine

    versions = {}
    packages = ("torch", "transformers", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-rtx-cu13")
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # noqa: PERF203 - each may be absent
            continue
    gpu = None
    if device == "cuda":
        import torch

        gpu = torch.cuda.get_device_name(0)
    return {**machine.describe(), "gpu": gpu, "versions": versions}
