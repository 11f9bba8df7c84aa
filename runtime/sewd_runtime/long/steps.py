"""A recording of any length in memory that does not grow: regions, windows, batches, segments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Samples
from sewd_runtime.bundle.manifest import Manifest
from sewd_runtime.decode import Decoder, Hypothesis, log_softmax
from sewd_runtime.inference.batching import plan_batches
from sewd_runtime.inference.network import Network
from sewd_runtime.long.segmentation import Segmentation, find_regions
from sewd_runtime.long.windows import START, Place, Stitcher, Stretch, Window, WindowPlan, cut_windows
from sewd_runtime.text.frames import FrameClock
from sewd_runtime.text.times import find_quiet, fit_transcript
from sewd_runtime.text.transcript import Segment, Transcript
from sewd_runtime.text.vocabulary import Vocabulary

_GROUP_SAMPLES = 1_000_000
"""Read before they are run, about a minute: enough to find windows of like length, little to lose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is known further on in a recording.

    segments: those since the step before. done: where to go on from, if the work is broken off here.
    num_samples: of the recording, read and run so far; in the last step all.
    """

    segments: tuple[Segment, ...]
    done: Place
    num_samples: int


def transcribe_long(
    blocks: Iterable[Samples],
    *,
    network: Network,
    vocabulary: Vocabulary,
    decoder: Decoder,
    segmentation: Segmentation,
    characters: bool = False,
    done: Place = START,
) -> Iterator[Step]:
    """Yield steps to the end of a recording; what of it lies before ``done`` is read, and not run again.

    blocks: the recording, in parts of any size, which never matters. Law: the steps after one whose ``done``
    is given are the same, bit by bit, as those that followed it.
    """
    num_samples = 0

    def counted() -> Iterator[Samples]:
        nonlocal num_samples
        for block in blocks:
            num_samples += len(block)
            yield block

    plan = plan_windows(network.manifest, segmentation)
    stitcher = Stitcher(vocabulary, plan, done)
    for group in group_windows(counted(), network.manifest, segmentation):
        last = group[-1]
        segments: tuple[Segment, ...] = ()
        if last.after > done:  # else all of it was done before; a group is run whole, for the same batches
            emissions = run_windows(group, network)
            pairs = zip(group, emissions, strict=True)
            stretches = [stretch for window, found in pairs for stretch in stitcher.add(window, found)]
            segments = tuple(_segments(stretches, network.manifest, vocabulary, decoder, characters))
        end = last.first.region + last.first.frame * plan.stride + len(last.samples)
        yield Step(segments=segments, done=stitcher.done, num_samples=end)
    yield Step(segments=(), done=stitcher.done, num_samples=num_samples)


def plan_windows(manifest: Manifest, segmentation: Segmentation) -> WindowPlan:
    """Return where a model's windows begin and end."""
    return WindowPlan.of_seconds(
        segmentation.chunk_s,
        segmentation.context_s,
        receptive_field=manifest.receptive_field,
        stride=manifest.stride,
        sample_rate_hz=manifest.sample_rate_hz,
    )


def group_windows(
    blocks: Iterable[Samples], manifest: Manifest, segmentation: Segmentation
) -> Iterator[list[Window]]:
    """Yield the windows of a recording in order, those together that are run together."""
    parts = find_regions(blocks, segmentation, sample_rate_hz=manifest.sample_rate_hz)
    group: list[Window] = []
    for window in cut_windows(parts, plan_windows(manifest, segmentation)):
        group.append(window)
        if sum(len(each.samples) for each in group) >= _GROUP_SAMPLES:
            yield group
            group = []
    if group:
        yield group


def run_windows(group: Sequence[Window], network: Network) -> Iterator[NDArray[np.float32]]:
    """Yield the log-probabilities of each window, (frames, vocab) float32."""
    yield from map(log_softmax, network.run_frames([window.samples for window in group]))


def joined(segments: Sequence[Segment], *, vocabulary: Vocabulary, duration_s: float) -> Transcript:
    """Return the transcript of a recording from all its segments."""
    space = " " if vocabulary.word_delimiter_id is not None else ""
    text = space.join(segment.text for segment in segments)
    return Transcript(text=text, segments=tuple(segments), duration_s=duration_s)


def _segments(
    stretches: Sequence[Stretch],
    manifest: Manifest,
    vocabulary: Vocabulary,
    decoder: Decoder,
    characters: bool,
) -> Iterator[Segment]:
    """Yield a segment for each stretch that has words."""
    clock = FrameClock(stride=manifest.stride, sample_rate_hz=manifest.sample_rate_hz)
    hypotheses = _decode(stretches, manifest.stride, vocabulary, decoder)
    for stretch, hypothesis in zip(stretches, hypotheses, strict=True):
        transcript = Transcript.from_hypothesis(
            hypothesis,
            vocabulary=vocabulary,
            clock=clock,
            duration_s=len(stretch.samples) / manifest.sample_rate_hz,
            characters=characters,
        )
        fitted = fit_transcript(transcript, find_quiet(stretch.samples, manifest.sample_rate_hz))
        begin = stretch.first.region + stretch.first.frame * manifest.stride
        yield from (segment.later(begin / manifest.sample_rate_hz) for segment in fitted.segments)


def _decode(
    stretches: Sequence[Stretch], stride: int, vocabulary: Vocabulary, decoder: Decoder
) -> list[Hypothesis]:
    """Return the best hypothesis of each stretch, decoded in batches of like length."""
    hypotheses = [Hypothesis() for _ in stretches]
    lengths = [len(stretch.log_probs) for stretch in stretches]
    for indices in plan_batches([length * stride for length in lengths]):
        shape = (len(indices), lengths[indices[0]], len(vocabulary.canonical_ids))
        batch = np.zeros(shape, np.float32)
        for item, index in zip(batch, indices, strict=True):
            item[: lengths[index]] = stretches[index].log_probs
        counts = np.array([lengths[index] for index in indices], dtype=np.int64)
        for index, hypothesis in zip(indices, decoder.decode(batch, counts, vocabulary), strict=True):
            hypotheses[index] = hypothesis
    return hypotheses
