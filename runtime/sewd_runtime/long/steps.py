"""A recording of any length, step by step: regions, windows that run together, segments.

Memory does not grow with the length: samples are kept for about a minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import AudioSource, Samples
from sewd_runtime.bundle.manifest import Manifest
from sewd_runtime.decode import Decoder, Hypothesis, log_softmax
from sewd_runtime.errors import DecodingError
from sewd_runtime.inference.batching import plan_batches
from sewd_runtime.inference.network import Network
from sewd_runtime.long.segmentation import Part, Segmentation, find_regions
from sewd_runtime.long.windows import START, Place, Stitcher, Stretch, Window, WindowPlan, cut_windows
from sewd_runtime.text.frames import FrameClock
from sewd_runtime.text.transcript import Segment, Transcript
from sewd_runtime.text.vocabulary import Vocabulary
from sewd_runtime.text.word_times import find_quiet, fit_transcript

_GROUP_SAMPLES = 1_000_000
"""Samples read before they run, about a minute: enough for windows of similar length, little to lose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How a recording becomes text: the options of ``Recognizer.transcribe``."""

    decoder: Decoder
    segmentation: Segmentation
    characters: bool

    def __post_init__(self) -> None:
        if not hasattr(self.decoder, "decode"):
            raise DecodingError(f"decoder: Greedy() or BeamSearch(), not {self.decoder!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step through a recording.

    segments: those that follow the previous step's, often none: windows run together before they are decoded.
    done: the place to resume from after this step. num_samples: samples of the recording that are behind it,
    at the model's rate; in the last step, all.
    """

    segments: tuple[Segment, ...]
    done: Place
    num_samples: int


def open_recording(
    network: Network, audio: AudioSource, sample_rate_hz: int | None, segmentation: Segmentation
) -> Samples | Iterator[Samples]:
    """Return all samples of a recording that runs whole, and the blocks of a longer one."""
    max_samples = round(segmentation.whole_s * network.manifest.sample_rate_hz)
    return network.read_or_stream(audio, sample_rate_hz, max_samples=max_samples)


class WindowGroups:
    """The windows of a recording in order, in groups that run together.

    plan: where windows begin and end. num_samples: samples read so far.
    """

    def __init__(
        self, recording: Samples | Iterator[Samples], manifest: Manifest, segmentation: Segmentation
    ) -> None:
        self.num_samples = 0
        self.plan = WindowPlan.of_seconds(
            segmentation.chunk_s,
            segmentation.context_s,
            receptive_field=manifest.receptive_field,
            stride=manifest.stride,
            sample_rate_hz=manifest.sample_rate_hz,
        )
        if isinstance(recording, np.ndarray):  # one region in one window
            whole = max(self.plan.size, self.plan.num_frames(len(recording)))
            self.plan = replace(self.plan, size=whole)
            parts: Iterable[Part] = [Part(samples=recording, begin=0, is_last=True)]
            self.num_samples = len(recording)
        else:
            blocks = self._counted(recording)
            parts = find_regions(blocks, segmentation, sample_rate_hz=manifest.sample_rate_hz)
        self._windows = cut_windows(parts, self.plan)

    def __iter__(self) -> Iterator[list[Window]]:
        group: list[Window] = []
        for window in self._windows:
            group.append(window)
            if sum(len(each.samples) for each in group) >= _GROUP_SAMPLES:
                yield group
                group = []
        if group:
            yield group

    def _counted(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        for block in blocks:
            self.num_samples += len(block)
            yield block


def run_steps(
    recording: Samples | Iterator[Samples],
    *,
    network: Network,
    vocabulary: Vocabulary,
    decoding: Decoding,
    done: Place = START,
) -> Iterator[Step]:
    """Yield a step after each window; what lies before ``done`` is read, and not run again.

    recording: as ``open_recording`` returns it; where its blocks end never matters. Law: the steps after the
    one whose ``done`` is given are the same, bit by bit, as those that followed it.
    """
    groups = WindowGroups(recording, network.manifest, decoding.segmentation)
    stitcher = Stitcher(vocabulary, groups.plan, done)
    begin = 0
    for group in groups:
        last = group[-1]
        segments: tuple[Segment, ...] = ()
        if last.after > done:  # a group that is done in part runs whole, so that its batches are the same
            emitted = {}
            for index, log_probs in run_windows(group, network):
                emitted[index] = log_probs
                if len(emitted) < len(group):
                    yield Step(segments=(), done=stitcher.done, num_samples=begin)
            stretches = [
                stretch
                for index, window in enumerate(group)
                for stretch in stitcher.add(window, emitted[index])
            ]
            decoded = decode_stretches(stretches, network.manifest, vocabulary, decoding)
            segments = tuple(segment for each in decoded for segment in each)
        begin = last.first.region + last.first.frame * groups.plan.stride + len(last.samples)
        yield Step(segments=segments, done=stitcher.done, num_samples=begin)
    yield Step(segments=(), done=stitcher.done, num_samples=groups.num_samples)


def run_windows(group: Sequence[Window], network: Network) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the index and the log-probabilities, (frames, vocab) float32, of each window when it has run."""
    for index, logits in network.run_each([window.samples for window in group]):
        yield index, log_softmax(logits)


def decode_stretches(
    stretches: Sequence[Stretch], manifest: Manifest, vocabulary: Vocabulary, decoding: Decoding
) -> Iterator[tuple[Segment, ...]]:
    """Yield the segments of each stretch: one, or none where it has no words."""
    clock = FrameClock(stride=manifest.stride, sample_rate_hz=manifest.sample_rate_hz)
    hypotheses = _decode(stretches, manifest.stride, vocabulary, decoding.decoder)
    for stretch, hypothesis in zip(stretches, hypotheses, strict=True):
        transcript = Transcript.from_hypothesis(
            hypothesis,
            vocabulary=vocabulary,
            clock=clock,
            duration_s=len(stretch.samples) / manifest.sample_rate_hz,
            characters=decoding.characters,
        )
        fitted = fit_transcript(transcript, find_quiet(stretch.samples, manifest.sample_rate_hz))
        begin = stretch.first.region + stretch.first.frame * manifest.stride
        yield tuple(segment.shifted(begin / manifest.sample_rate_hz) for segment in fitted.segments)


def _decode(
    stretches: Sequence[Stretch], stride: int, vocabulary: Vocabulary, decoder: Decoder
) -> list[Hypothesis]:
    """Return the best hypothesis of each stretch, decoded in batches of similar length."""
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
