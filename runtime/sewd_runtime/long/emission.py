"""The emission of a whole recording, of any length: what a text that is known is aligned with."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import AudioSource, Samples
from sewd_runtime.decode import log_softmax
from sewd_runtime.inference.network import Network
from sewd_runtime.long.segmentation import Segmentation
from sewd_runtime.long.steps import group_windows, run_windows
from sewd_runtime.text.frames import FrameClock, num_frames
from sewd_runtime.text.times import BLOCK_S, find_quiet


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """What the model gives for a recording.

    log_probs: (frames, vocab) float32. quiet: (blocks,) bool, as ``boundaries.find_quiet`` gives it.
    duration_s: length of the recording in seconds.
    """

    log_probs: NDArray[np.float32]
    quiet: NDArray[np.bool_]
    duration_s: float


def emission_of(
    network: Network,
    audio: AudioSource,
    sample_rate_hz: int | None,
    *,
    segmentation: Segmentation,
    blank_id: int,
) -> Emission:
    """Run a recording whole, or region by region where it is too long; between regions all frames are blank.

    Samples are held for a minute only; log-probabilities, of every frame: 6.4 kB a second for 32 outputs.
    """
    rate_hz = network.manifest.sample_rate_hz
    source = network.hold(audio, sample_rate_hz)
    samples = network.peek(*source, longest=round(segmentation.whole_s * rate_hz))
    if samples is None:
        return _in_regions(network, network.stream(*source), segmentation, blank_id)
    [logits] = network.run_frames([samples])
    return Emission(
        log_probs=log_softmax(logits), quiet=find_quiet(samples, rate_hz), duration_s=len(samples) / rate_hz
    )


def _in_regions(
    network: Network, blocks: Iterator[Samples], segmentation: Segmentation, blank_id: int
) -> Emission:
    manifest, num_samples = network.manifest, 0
    rate_hz = manifest.sample_rate_hz

    def counted() -> Iterator[Samples]:
        nonlocal num_samples
        for block in blocks:
            num_samples += len(block)
            yield block

    clock = FrameClock(stride=manifest.stride, sample_rate_hz=rate_hz)
    parts = []
    for group in group_windows(counted(), manifest, segmentation):
        for window, emitted in zip(group, run_windows(group, network), strict=True):
            taken = window.taken(emitted, manifest.stride)
            begin_s = taken.first.region / rate_hz + clock.seconds(taken.first.frame)
            parts.append((begin_s, taken.log_probs.copy(), find_quiet(taken.samples, rate_hz)))
    frames = num_frames(num_samples, receptive_field=manifest.receptive_field, stride=manifest.stride)
    log_probs = np.full((frames, manifest.num_outputs), -np.inf, np.float32)
    log_probs[:, blank_id] = 0
    quiet = np.ones(round(num_samples / rate_hz / BLOCK_S), np.bool_)
    for begin_s, emitted, hushed in parts:
        _put(log_probs, emitted, clock.frame(begin_s))
        _put(quiet, hushed, round(begin_s / BLOCK_S))
    return Emission(log_probs=log_probs, quiet=quiet, duration_s=num_samples / rate_hz)


def _put(whole: NDArray[np.generic], part: NDArray[np.generic], begin: int) -> None:
    """Write a part into its place; what rounding puts past the end is left out."""
    whole[begin : begin + len(part)] = part[: len(whole) - begin]
