"""The emission of a whole recording of any length: what ``Recognizer.align`` aligns a text with."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Samples
from sewd_runtime.decode import log_softmax
from sewd_runtime.inference.network import Network
from sewd_runtime.long.segmentation import Segmentation
from sewd_runtime.long.steps import WindowGroups, run_windows
from sewd_runtime.text.frames import FrameClock
from sewd_runtime.text.word_times import BLOCK_S, find_quiet


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """The model's output for a recording.

    log_probs: (frames, vocab) float32. quiet: (blocks,) bool, as ``word_times.find_quiet`` returns it.
    duration_s: length of the recording in seconds.
    """

    log_probs: NDArray[np.float32]
    quiet: NDArray[np.bool_]
    duration_s: float


def emission_of(
    recording: Samples | Iterator[Samples],
    network: Network,
    *,
    segmentation: Segmentation,
    blank_id: int,
) -> Emission:
    """Run a recording whole, or region by region if it is long; all frames between regions are blank.

    recording: as ``steps.open_recording`` returns it. Samples are kept for about a minute only, but
    log-probabilities for every frame: 6.4 kB a second for 32 outputs.
    """
    rate_hz = network.manifest.sample_rate_hz
    if not isinstance(recording, np.ndarray):
        return _run_regions(recording, network, segmentation, blank_id)
    [logits] = network.run_frames([recording])
    return Emission(
        log_probs=log_softmax(logits),
        quiet=find_quiet(recording, rate_hz),
        duration_s=len(recording) / rate_hz,
    )


def _run_regions(
    blocks: Iterator[Samples], network: Network, segmentation: Segmentation, blank_id: int
) -> Emission:
    manifest = network.manifest
    rate_hz = manifest.sample_rate_hz
    clock = FrameClock(stride=manifest.stride, sample_rate_hz=rate_hz)
    groups = WindowGroups(blocks, manifest, segmentation)
    parts = []
    for group in groups:
        for index, emitted in run_windows(group, network):
            taken = group[index].taken(emitted, manifest.stride)
            begin_s = taken.first.region / rate_hz + clock.seconds(taken.first.frame)
            parts.append((begin_s, taken.log_probs.copy(), find_quiet(taken.samples, rate_hz)))
    log_probs = np.full(
        (groups.plan.num_frames(groups.num_samples), manifest.num_outputs), -np.inf, np.float32
    )
    log_probs[:, blank_id] = 0
    quiet = np.ones(round(groups.num_samples / rate_hz / BLOCK_S), np.bool_)
    for begin_s, emitted, quiet_part in parts:
        _put(log_probs, emitted, clock.frame(begin_s))
        _put(quiet, quiet_part, round(begin_s / BLOCK_S))
    return Emission(log_probs=log_probs, quiet=quiet, duration_s=groups.num_samples / rate_hz)


def _put(whole: NDArray[np.generic], part: NDArray[np.generic], begin: int) -> None:
    """Write a part into its place; what rounding would put past the end is left out."""
    whole[begin : begin + len(part)] = part[: len(whole) - begin]
