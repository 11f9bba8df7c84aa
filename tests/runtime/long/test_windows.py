"""Laws: windows share a region's frames out, and what is stitched reads as if it had never been cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import attrgetter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sewd_runtime import Recognizer
from sewd_runtime.bundle.manifest import Manifest
from sewd_runtime.decode import Greedy
from sewd_runtime.decode.bundled import BundleDecoders
from sewd_runtime.inference.network import Network
from sewd_runtime.long import steps as step_module
from sewd_runtime.long.segmentation import Part, Segmentation
from sewd_runtime.long.steps import Step
from sewd_runtime.long.windows import Stitcher, WindowPlan, cut_windows
from sewd_runtime.text.frames import num_frames
from sewd_runtime.text.vocabulary import Vocabulary

STRIDE, FIELD, VOCAB, RATE_HZ = 320, 400, 8, 16_000
BLANK, DELIMITER = 0, 1
VOCABULARY = Vocabulary(
    blank_id=BLANK,
    word_delimiter_id=DELIMITER,
    canonical_ids=tuple(range(VOCAB)),
    pieces=dict(enumerate(["", " ", *"ABCDEF"])),
    unknown_piece=None,
    do_lower_case=False,
    clean_up_spaces=False,
)
WHOLE = Segmentation(whole_s=1e9)
WINDOWS = Segmentation(whole_s=0, pause_s=None, chunk_s=2.0, context_s=0.2)

plans = st.builds(
    lambda half, context: WindowPlan(
        size=2 * (context + half), context=context, receptive_field=FIELD, stride=STRIDE
    ),
    half=st.integers(1, 30),
    context=st.integers(5, 20),
)
# Regions, each as the lengths of its parts in samples.
talks = st.lists(st.lists(st.integers(0, 30_000), min_size=1, max_size=6), min_size=1, max_size=4)
# Words, each as runs of one label: (label, frames); several letters alike need a blank between them.
labels = st.lists(st.tuples(st.integers(0, VOCAB - 1), st.integers(1, 12)), min_size=1, max_size=150)


same_model = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class LocalSession:
    """A model whose frame says nothing but what its first sample holds: the number of a label."""

    def run(self, values: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        counts = 1 + (lengths - FIELD) // STRIDE
        first = values[:, : STRIDE * counts.max() : STRIDE]
        return 5 * np.eye(VOCAB, dtype=np.float32)[np.rint(first * VOCAB).astype(int)], counts


def sound_of(frames: Sequence[int]) -> np.ndarray:
    """Samples that a LocalSession hears as these labels, one a frame."""
    samples = np.repeat(np.array(frames, np.float32) / VOCAB, STRIDE)
    return np.concatenate([samples, np.zeros(FIELD - STRIDE, np.float32)])


@pytest.fixture
def local(manifest: Manifest, numpy_network: Callable[[str], Network]) -> Recognizer:
    network = numpy_network("ctc")
    bundle = replace(network.bundle, manifest=replace(manifest, num_outputs=VOCAB))
    network = replace(network, bundle=bundle, session=LocalSession())
    return Recognizer(network=network, vocabulary=VOCABULARY, decoders=BundleDecoders(bundle))


def parts_of(regions: list[list[int]]) -> Iterator[Part]:
    begin, random = 0, np.random.default_rng(0)
    for parts in regions:
        for place, length in enumerate(parts, start=1):
            samples = random.standard_normal(length).astype(np.float32)
            yield Part(samples=samples, begin=begin, is_last=place == len(parts))
        begin += sum(parts) + 1_000


@settings(deadline=None)
@given(plan=plans, talk=talks)
def test_every_frame_is_taken_once_with_context_on_the_grid(plan: WindowPlan, talk: list[list[int]]) -> None:
    windows = list(cut_windows(parts_of(talk), plan))
    for begin in {window.first.region for window in windows}:
        of_region = [window for window in windows if window.first.region == begin]
        assert [window.is_last for window in of_region] == [False] * (len(of_region) - 1) + [True]
        assert of_region[0].begin == 0
        for one, other in pairwise(of_region):
            assert one.end == other.begin
            assert other.begin - other.first.frame >= plan.context
            assert one.first.frame + plan.size - one.end >= plan.context
        for window in of_region:
            assert window.first.frame % 2 == 0
            assert plan.num_frames(len(window.samples)) <= plan.size
    regions = [sum(parts) for parts in talk]
    ends = [window.end for window in windows if window.is_last]
    assert ends == [num_frames(length, receptive_field=FIELD, stride=STRIDE) for length in regions]


place_of = attrgetter("first", "begin", "end", "is_last")


@settings(deadline=None)
@given(plan=plans, talk=talks)
def test_where_parts_end_never_matters(plan: WindowPlan, talk: list[list[int]]) -> None:
    whole = [[sum(parts)] for parts in talk]
    for one, other in zip(cut_windows(parts_of(talk), plan), cut_windows(parts_of(whole), plan), strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)
        assert place_of(one) == place_of(other)


@settings(deadline=None)
@given(frames=labels)
def test_stretches_are_the_emission_parted_between_words(frames: list[tuple[int, int]]) -> None:
    emission = np.eye(VOCAB, dtype=np.float32)[[label for label, count in frames for _ in range(count)]]
    plan = WindowPlan(size=40, context=5, receptive_field=FIELD, stride=STRIDE)
    samples = np.arange(len(emission) * STRIDE + FIELD - STRIDE, dtype=np.float32)
    stitcher, stretches = Stitcher(VOCABULARY, plan), []
    for window in cut_windows([Part(samples=samples, begin=0, is_last=True)], plan):
        heard = emission[window.first.frame :][: plan.num_frames(len(window.samples))]
        stretches += list(stitcher.add(window, heard))
    np.testing.assert_array_equal(np.concatenate([each.log_probs for each in stretches]), emission)
    np.testing.assert_array_equal(np.concatenate([each.samples for each in stretches]), samples)
    assert [each.samples[0] for each in stretches] == [each.first.frame * STRIDE for each in stretches]
    assert stitcher.done.frame == len(emission)
    together, apart = words_of(emission), [word for each in stretches for word in words_of(each.log_probs)]
    if all(len(each.log_probs) < 8 * plan.size for each in stretches):
        assert apart == together


def words_of(emission: np.ndarray) -> list[str]:
    [hypothesis] = Greedy().decode(emission[None], np.array([len(emission)]), VOCABULARY)
    return VOCABULARY.text(hypothesis.token_ids).split()


@same_model
@given(frames=labels, block=st.integers(1_000, 100_000))
def test_a_local_model_says_the_same_in_windows(
    local: Recognizer, frames: list[tuple[int, int]], block: int
) -> None:
    samples = sound_of([label for label, count in frames for _ in range(count)])
    offline = local.transcribe(samples, segmentation=WHOLE)
    windows = local.transcribe(samples, segmentation=WINDOWS)
    assert windows.text.split() == offline.text.split()
    assert [word.confidence for word in windows.words] == [word.confidence for word in offline.words]
    assert windows.duration_s == offline.duration_s
    assert tuple(local.segments(samples, segmentation=WINDOWS)) == windows.segments
    blocks = (samples[at : at + block] for at in range(0, len(samples), block))
    assert [segment for step in steps(local, blocks) for segment in step.segments] == list(windows.segments)


def steps(recognizer: Recognizer, blocks: Iterator[np.ndarray], **options: object) -> list[Step]:
    return list(recognizer.steps(blocks, segmentation=WINDOWS, **options))  # type: ignore[arg-type]


@same_model
@given(frames=labels, data=st.data())
def test_what_was_broken_off_goes_on_as_if_it_had_not_been(
    local: Recognizer, frames: list[tuple[int, int]], data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_module, "_GROUP_SAMPLES", 50_000)  # one or two windows
    samples = sound_of([label for label, count in frames for _ in range(count)])
    all_steps = steps(local, iter([samples]))
    stop = data.draw(st.integers(0, len(all_steps) - 1))
    again = steps(local, iter([samples]), done=all_steps[stop].done)
    before = [segment for step in all_steps[: stop + 1] for segment in step.segments]
    after = [segment for step in again for segment in step.segments]
    assert before + after == [segment for step in all_steps for segment in step.segments]
    assert again[-1].num_samples == all_steps[-1].num_samples


def test_a_voice_that_never_ends_a_word_is_parted_in_the_end() -> None:
    plan = WindowPlan(size=40, context=5, receptive_field=FIELD, stride=STRIDE)
    stitcher, random = Stitcher(VOCABULARY, plan), np.random.default_rng(0)
    held = 0
    for window in cut_windows([Part(samples=sound_of([0] * 5_000), begin=0, is_last=True)], plan):
        letters = np.eye(VOCAB, dtype=np.float32)[random.integers(2, VOCAB, 40)]
        held += window.end - window.begin - sum(len(each.log_probs) for each in stitcher.add(window, letters))
        assert held <= 9 * 40


def test_silence_is_not_held() -> None:
    plan = WindowPlan(size=40, context=5, receptive_field=FIELD, stride=STRIDE)
    stitcher = Stitcher(VOCABULARY, plan)
    held = 0
    for window in cut_windows([Part(samples=sound_of([0] * 5_000), begin=0, is_last=True)], plan):
        blank = np.eye(VOCAB, dtype=np.float32)[[BLANK] * 40]
        held += window.end - window.begin - sum(len(each.log_probs) for each in stitcher.add(window, blank))
        assert held <= 80
