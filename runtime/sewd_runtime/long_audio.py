"""A recording of any length in memory that does not grow: regions, windows, batches, segments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sewd_runtime._types import Samples
from sewd_runtime.batching import plan_batches
from sewd_runtime.decode import Decoder, Hypothesis, log_softmax
from sewd_runtime.engine import Engine
from sewd_runtime.frames import FrameClock
from sewd_runtime.segmentation import Segmentation, find_regions
from sewd_runtime.transcript import Segment, Transcript
from sewd_runtime.vocabulary import Vocabulary
from sewd_runtime.windows import START, Place, Stitcher, Stretch, Window, WindowPlan, cut_windows

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
    engine: Engine,
    vocabulary: Vocabulary,
    decoder: Decoder,
    segmentation: Segmentation,
    done: Place = START,
) -> Iterator[Step]:
    """Yield steps to the end of a recording; what of it lies before ``done`` is read, and not run again.

    blocks: the recording, in parts of any size, which never matters. Law: the steps after one whose ``done``
    is given are the same, bit by bit, as those that followed it.
    """
    manifest, num_samples = engine.manifest, 0

    def counted() -> Iterator[Samples]:
        nonlocal num_samples
        for block in blocks:
            num_samples += len(block)
            yield block

    plan = WindowPlan.of_seconds(
        segmentation.chunk_s,
        segmentation.context_s,
        receptive_field=manifest.receptive_field,
        stride=manifest.stride,
        sample_rate_hz=manifest.sample_rate_hz,
    )
    stitcher = Stitcher(vocabulary, plan.size, done)
    parts = find_regions(counted(), segmentation, sample_rate_hz=manifest.sample_rate_hz)
    for group in _groups(cut_windows(parts, plan)):
        segments: tuple[Segment, ...] = ()
        if (
            group[-1].after > done
        ):  # else all of it was done before; a group is run whole, for the same batches
            emissions = engine.run_frames([window.samples for window in group])
            stretches = [
                stretch
                for window, logits in zip(group, emissions, strict=True)
                for stretch in stitcher.add(window, log_softmax(logits))
            ]
            segments = tuple(_segments(stretches, engine, vocabulary, decoder))
        last = group[-1]
        end = last.first.region + last.first.frame * manifest.stride + len(last.samples)
        yield Step(segments=segments, done=stitcher.done, num_samples=end)
    yield Step(segments=(), done=stitcher.done, num_samples=num_samples)


def joined(segments: Sequence[Segment], *, vocabulary: Vocabulary, duration_s: float) -> Transcript:
    """Return the transcript of a recording from all its segments."""
    space = " " if vocabulary.word_delimiter_id is not None else ""
    text = space.join(segment.text for segment in segments)
    return Transcript(text=text, segments=tuple(segments), duration_s=duration_s)


def _groups(windows: Iterable[Window]) -> Iterator[list[Window]]:
    """Yield windows to be run together; which these are does not depend on what was done before."""
    group: list[Window] = []
    for window in windows:
        group.append(window)
        if sum(len(each.samples) for each in group) >= _GROUP_SAMPLES:
            yield group
            group = []
    if group:
        yield group


def _segments(
    stretches: Sequence[Stretch], engine: Engine, vocabulary: Vocabulary, decoder: Decoder
) -> Iterator[Segment]:
    """Yield a segment for each stretch that has words, decoded in batches of like length."""
    manifest = engine.manifest
    clock = FrameClock(stride=manifest.stride, sample_rate_hz=manifest.sample_rate_hz)
    hypotheses = [Hypothesis() for _ in stretches]
    lengths = [len(stretch.log_probs) for stretch in stretches]
    for indices in plan_batches([length * manifest.stride for length in lengths]):
        batch = np.zeros((len(indices), lengths[indices[0]], manifest.num_outputs), np.float32)
        for item, index in zip(batch, indices, strict=True):
            item[: lengths[index]] = stretches[index].log_probs
        counts = np.array([lengths[index] for index in indices], dtype=np.int64)
        for index, hypothesis in zip(indices, decoder.decode(batch, counts, vocabulary), strict=True):
            hypotheses[index] = hypothesis
    for stretch, hypothesis, length in zip(stretches, hypotheses, lengths, strict=True):
        end_s = clock.seconds(stretch.first.frame + length)
        transcript = Transcript.from_hypothesis(
            hypothesis.later(stretch.first.frame), vocabulary=vocabulary, clock=clock, duration_s=end_s
        )
        for segment in transcript.segments:
            yield segment.later(stretch.first.region / manifest.sample_rate_hz)
