"""Laws of streams: where blocks end never matters, committed words stay, many streams equal each alone."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from weakref import WeakSet

import numpy as np
import pytest
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sewd_runtime import (
    BeamSearch,
    Partial,
    Recognizer,
    Stream,
    Streaming,
    Turn,
    Word,
    feed_streams,
    finish_streams,
)
from sewd_runtime.audio.reading import read_audio
from sewd_runtime.bundle.manifest import Manifest
from sewd_runtime.decode import Greedy, log_softmax
from sewd_runtime.decode.bundled import BundleDecoders
from sewd_runtime.decode.greedy import GreedyState
from sewd_runtime.errors import AudioValueError, StreamFinishedError
from sewd_runtime.inference.network import Network
from sewd_runtime.text.frames import FrameClock
from sewd_runtime.text.transcript import Transcript
from sewd_runtime.text.vocabulary import Vocabulary

RATE_HZ = 16_000
QUICK = Streaming(chunk_s=0.2, right_context_s=0.3, left_context_s=1.0)
CLIPS = Path(__file__).parents[3] / "export/sewd_export/speech"

LAW = settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # nothing of the network changes
)

# (seconds of speech, seconds of silence after it)
talks = st.lists(st.tuples(st.floats(0.02, 1.0), st.floats(0.0, 1.5)), max_size=4)
blocks = st.lists(st.integers(0, 30_000), max_size=8)
streamings = st.builds(
    Streaming,
    chunk_s=st.floats(0.1, 1.0),
    right_context_s=st.floats(0.0, 1.0),
    left_context_s=st.floats(0.0, 2.0),
    pause_s=st.floats(0.3, 1.0),
    margin_s=st.floats(0.0, 0.15),
)


@pytest.fixture(scope="module")
def digits() -> Recognizer:
    return Recognizer.load(threads=1)


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    return [read_audio(path) for path in sorted(CLIPS.glob("*.flac"))]


@pytest.fixture
def numpy_recognizer(numpy_network: Callable[[str], Network], letters: Vocabulary) -> Recognizer:
    """A model whose frames depend on their own samples only, so a window gives what the whole would."""
    network = numpy_network("ctc")
    return Recognizer(network=network, vocabulary=letters, decoders=BundleDecoders(network.bundle))


@pytest.fixture
def letters(manifest: Manifest) -> Vocabulary:
    tokens = {"<pad>": 0, "<unk>": 1, "|": 4, **{chr(60 + place): place for place in range(5, 32)}, "A": 2}
    assert manifest.ctc is not None
    return Vocabulary.from_manifest(tokens, manifest.ctc, manifest.num_outputs)


def talk(parts: Sequence[tuple[float, float]]) -> np.ndarray:
    """Noise 50 dB over noise."""
    random = np.random.default_rng(0)
    pieces = [np.zeros(0)]
    for loud_s, quiet_s in parts:
        pieces += [0.3 * random.standard_normal(round(loud_s * RATE_HZ))]
        pieces += [1e-3 * random.standard_normal(round(quiet_s * RATE_HZ))]
    return np.concatenate(pieces).astype(np.float32)


def joined(clips: Sequence[np.ndarray], pauses_s: Sequence[float]) -> np.ndarray:
    random = np.random.default_rng(1)
    gaps = [(1e-4 * random.standard_normal(round(one * RATE_HZ))).astype(np.float32) for one in pauses_s]
    return np.concatenate([part for pair in zip(clips, gaps, strict=False) for part in pair])


def in_parts(whole: np.ndarray, parts: Sequence[int]) -> Iterator[np.ndarray]:
    edges = np.minimum(np.cumsum([0, *parts]), len(whole))
    for begin, end in pairwise([*edges, len(whole)]):
        yield whole[begin:end]


def partials(stream: Stream, samples: np.ndarray, parts: Sequence[int] = ()) -> list[Partial]:
    return [*(stream.feed(block) for block in in_parts(samples, parts)), stream.finish()]


def words(found: Sequence[Partial]) -> list[Word]:
    return [word for partial in found for word in partial.committed]


def by_frames(recognizer: Recognizer, samples: np.ndarray) -> list[Word]:
    """Return the words of the whole recording with the times of frames, as streams give them."""
    [logits] = recognizer.logits([samples])
    log_probs, lengths = log_softmax(logits)[None], np.array([len(logits)])
    [hypothesis] = Greedy().decode(log_probs, lengths, recognizer.vocabulary)
    clock = FrameClock(stride=recognizer.manifest.stride, sample_rate_hz=RATE_HZ)
    transcript = Transcript.from_hypothesis(
        hypothesis, vocabulary=recognizer.vocabulary, clock=clock, duration_s=len(samples) / RATE_HZ
    )
    return list(transcript.words)


def assert_same(found: Sequence[Word], expected: Sequence[Word]) -> None:
    """Windows of other lengths may round differently, which shows only in confidences."""
    assert [(word.text, word.start_s, word.end_s) for word in found] == [
        (word.text, word.start_s, word.end_s) for word in expected
    ]
    np.testing.assert_allclose(
        [word.confidence for word in found], [word.confidence for word in expected], rtol=1e-4
    )


@LAW
@given(parts=talks, cuts=blocks, streaming=streamings)
def test_where_blocks_end_never_matters(
    numpy_recognizer: Recognizer, parts: list[tuple[float, float]], cuts: list[int], streaming: Streaming
) -> None:
    samples = talk(parts)
    found = partials(numpy_recognizer.stream(streaming=streaming), samples, cuts)
    assert words(found) == words(partials(numpy_recognizer.stream(streaming=streaming), samples))
    assert found[-1].pending == ()


@LAW
@given(loud_s=st.floats(0.0, 4.0), cuts=blocks, streaming=streamings)
def test_no_frame_is_lost_or_doubled(
    numpy_recognizer: Recognizer, loud_s: float, cuts: list[int], streaming: Streaming
) -> None:
    samples = talk([(loud_s, 0.0)])
    found = words(partials(numpy_recognizer.stream(streaming=streaming), samples, cuts))
    assert_same(found, by_frames(numpy_recognizer, samples))


@pytest.mark.parametrize("seed", range(3))
def test_where_blocks_end_never_matters_with_real_speech(
    digits: Recognizer, clips: list[np.ndarray], seed: int
) -> None:
    samples = joined(clips, [0.1, 0.9, 2.5, 0.3] * len(clips))
    once = partials(digits.stream(streaming=QUICK), samples)
    cuts = np.random.default_rng(seed).integers(0, 20_000, 40).tolist()
    often = partials(digits.stream(streaming=QUICK), samples, cuts)
    assert words(often) == words(once)
    assert len(words(once)) > 2 * len(clips)


def test_a_beam_search_gives_the_offline_words_and_changes_none(
    digits: Recognizer, clips: list[np.ndarray]
) -> None:
    decoder = BeamSearch(width=8, hotwords={"seven": 3.0})
    samples = joined(clips, [0.1, 0.9, 2.5, 0.3] * len(clips))
    once = partials(digits.stream(streaming=QUICK, decoder=decoder), samples)
    often = partials(digits.stream(streaming=QUICK, decoder=decoder), samples, [3_001] * 100)
    assert [word.text for word in words(often)] == [word.text for word in words(once)]
    for clip in clips:
        found = words(partials(digits.stream(streaming=Streaming(chunk_s=10), decoder=decoder), clip))
        offline = digits.transcribe(clip, decoder=decoder)
        assert " ".join(word.text for word in found) == offline.text


def test_committed_words_are_in_order_and_pending_words_follow(
    digits: Recognizer, clips: list[np.ndarray]
) -> None:
    found = partials(digits.stream(streaming=QUICK), joined(clips, [0.7] * len(clips)), [640] * 2_000)
    assert any(partial.pending for partial in found)
    assert sum(bool(partial.committed) for partial in found) > len(clips)
    ends = [word for partial in found for word in partial.committed]
    for earlier, later in pairwise(ends):
        assert earlier.start_s < earlier.end_s <= later.start_s
    last_s = 0.0
    for partial in found:
        last_s = max([last_s, *(word.end_s for word in partial.committed)])
        assert all(word.start_s >= last_s for word in partial.pending)


def test_a_short_stream_equals_the_whole_recording(digits: Recognizer, clips: list[np.ndarray]) -> None:
    one_window = Streaming(chunk_s=10)
    for clip in (*clips, clips[0][:16_000], clips[0][: 320 * 41 + 80], clips[0][:12_345]):
        found = words(partials(digits.stream(streaming=one_window), clip, [999, 0, 7_000]))
        assert found == by_frames(digits, clip)


def test_times_count_from_the_start_of_the_stream(digits: Recognizer, clips: list[np.ndarray]) -> None:
    lead_s = 7.0
    quiet = joined([np.zeros(0, np.float32)], [lead_s])
    for clip in clips:
        alone = by_frames(digits, clip)
        found = words(partials(digits.stream(streaming=Streaming(chunk_s=10)), np.append(quiet, clip)))
        assert [word.text for word in found] == [word.text for word in alone]
        np.testing.assert_allclose(
            [word.start_s for word in found], [lead_s + word.start_s for word in alone], atol=0.1
        )


@pytest.mark.parametrize(("rate_hz", "dtype"), [(8_000, np.float32), (44_100, np.int16), (16_000, np.int16)])
def test_blocks_of_any_rate_and_type_equal_the_recording_read_whole(
    digits: Recognizer, clips: list[np.ndarray], rate_hz: int, dtype: type[np.generic]
) -> None:
    resampled = soxr.resample(clips[0], RATE_HZ, rate_hz)
    block = resampled if dtype == np.float32 else (32_767 * np.clip(resampled, -1, 1)).astype(dtype)
    stream = digits.stream(sample_rate_hz=rate_hz, streaming=Streaming(chunk_s=10))
    expected = by_frames(digits, read_audio(block, sample_rate_hz=rate_hz))
    assert words(partials(stream, block, [1, 333, 0, 5_000])) == expected
    assert expected


def test_many_streams_equal_each_alone(digits: Recognizer, clips: list[np.ndarray]) -> None:
    pauses = np.random.default_rng(0).uniform(0, 1.5, (5, len(clips)))
    talks = [joined([*clips[number:], *clips[:number]], gaps) for number, gaps in enumerate(pauses)]
    streams = [digits.stream(streaming=QUICK) for _ in talks]
    found: list[list[Word]] = [[] for _ in talks]
    for first in range(0, max(map(len, talks)), 4_000):
        for one, partial in zip(
            found, feed_streams(streams, [talk[first : first + 4_000] for talk in talks]), strict=True
        ):
            one += partial.committed
    for one, partial in zip(found, finish_streams(streams), strict=True):
        one += partial.committed
    for talk, together in zip(talks, found, strict=True):
        alone = words(partials(digits.stream(streaming=QUICK), talk))
        assert_same(together, alone)


def test_windows_due_together_run_as_one_batch(numpy_recognizer: Recognizer) -> None:
    streams = [numpy_recognizer.stream(streaming=QUICK) for _ in range(4)]
    feed_streams(streams, [talk([(0.5, 0.0)])] * 4)
    assert numpy_recognizer.network.session.shapes == [(4, 8_000)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("seconds", [0, 5])
def test_silence_gives_no_words_and_runs_nothing(numpy_recognizer: Recognizer, seconds: int) -> None:
    stream = numpy_recognizer.stream()
    silence = np.zeros(seconds * RATE_HZ, np.float32)
    nothing = Partial(committed=(), pending=())
    assert partials(stream, silence, [100] * 20) == [nothing] * 22
    assert numpy_recognizer.network.session.shapes == []  # type: ignore[attr-defined]


def test_memory_of_an_endless_stream_does_not_grow(numpy_recognizer: Recognizer) -> None:
    states: WeakSet[CountingState] = WeakSet()
    starts, longest = 0, 0

    class Counting:
        """Greedy decoding that counts the frames of every state."""

        decode = Greedy().decode

        def start(self, vocabulary: Vocabulary) -> CountingState:
            nonlocal starts
            starts += 1
            states.add(state := CountingState(vocabulary))
            return state

    stream = numpy_recognizer.stream(streaming=QUICK, decoder=Counting())
    speech = np.random.default_rng(0).normal(0, 0.3, (100, RATE_HZ)).astype(np.float32)  # one segment
    committed, used_bytes = 0, []
    tracemalloc.start()
    for block in speech:
        committed += len(stream.feed(block).committed)
        longest = max(longest, *(state.frames for state in states))
        used_bytes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert starts > 1
    assert longest <= 60 * 50 + 10
    shapes = numpy_recognizer.network.session.shapes  # type: ignore[attr-defined]
    limit_s = 1.0 + 0.2 + 0.3 + 0.25 + 0.04
    assert max(samples for _, samples in shapes) <= limit_s * RATE_HZ
    assert max(used_bytes[65:]) - max(used_bytes[:65]) <= (limit_s + 1.0) * RATE_HZ * 4
    assert committed > 100


class CountingState(GreedyState):
    """A greedy state that knows how many frames it took."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__(vocabulary)
        self.frames = 0

    def advance(self, log_probs: np.ndarray) -> None:
        super().advance(log_probs)
        self.frames += len(log_probs)


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (np.array([0.1, np.nan], np.float32), "NaN"),
        (np.array([np.inf]), "infinite"),
        (np.zeros((2, 3, 4), np.float32), "shape"),
        (np.zeros(3, np.int64), "full scale"),
        ([0.0, 0.1], "numpy array"),
    ],
)
def test_an_invalid_block_is_refused_and_changes_nothing(
    digits: Recognizer, clips: list[np.ndarray], block: np.ndarray, reason: str
) -> None:
    good, bad = (digits.stream(streaming=QUICK) for _ in range(2))
    with pytest.raises(AudioValueError, match=reason):
        feed_streams([good, bad], [clips[0], block])
    assert words(partials(good, clips[0])) == words(partials(digits.stream(streaming=QUICK), clips[0]))


def test_a_finished_stream_refuses_samples(numpy_recognizer: Recognizer) -> None:
    stream = numpy_recognizer.stream()
    stream.finish()
    assert stream.is_finished
    with pytest.raises(StreamFinishedError, match=r"Recognizer\.stream"):
        stream.feed(np.zeros(1, np.float32))
    with pytest.raises(StreamFinishedError):
        stream.finish()


def test_streams_of_several_recognizers_or_given_twice_are_refused(
    numpy_recognizer: Recognizer, numpy_network: Callable[[str], Network]
) -> None:
    stream, block = numpy_recognizer.stream(), np.zeros(9, np.float32)
    with pytest.raises(AudioValueError, match="twice"):
        feed_streams([stream, stream], [block, block])
    with pytest.raises(AudioValueError, match="2 blocks for 1 streams"):
        feed_streams([stream], [block, block])
    other = dataclasses.replace(numpy_recognizer, network=numpy_network("ctc"))
    with pytest.raises(AudioValueError, match="several recognizers"):
        finish_streams([stream, other.stream()])


@pytest.mark.parametrize(
    "wrong",
    [
        {"chunk_s": 0},
        {"chunk_s": float("nan")},
        {"right_context_s": -1},
        {"left_context_s": 61},
        {"pause_s": 0},
        {"margin_s": 0.4},
    ],
)
def test_invalid_streaming_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(AudioValueError, match="Streaming"):
        Streaming(**wrong)


def test_an_invalid_sample_rate_is_refused(numpy_recognizer: Recognizer) -> None:
    with pytest.raises(AudioValueError, match="12 Hz"):
        numpy_recognizer.stream(sample_rate_hz=12)


def test_any_decoder_works(digits: Recognizer, clips: list[np.ndarray]) -> None:
    """A decoder that settles nothing before the end commits whole segments."""

    class Late:
        def __init__(self, vocabulary: Vocabulary) -> None:
            self._state = Greedy().start(vocabulary)
            self.advance, self.best = self._state.advance, self._state.best
            self.copy = self._state.copy

        def settled(self) -> int:
            return 0

    class LateGreedy:
        decode = Greedy().decode
        start = staticmethod(Late)

    samples = joined(clips, [1.0] * len(clips))
    expected = partials(digits.stream(streaming=QUICK), samples, [1_600] * 500)
    found = partials(digits.stream(streaming=QUICK, decoder=LateGreedy()), samples, [1_600] * 500)
    assert words(found) == words(expected)
    assert sum(bool(partial.committed) for partial in found) < sum(bool(one.committed) for one in expected)


def assert_words_lie_in_their_turns(found: Sequence[Partial]) -> list[float]:
    """Turns begin and end in alternation, and each word is committed within its own."""
    ordered: list[Turn | Word] = []
    for partial in found:
        for place, word in enumerate(partial.committed):
            ordered += [turn for turn in partial.turns if turn.after == place] + [word]
        ordered += [turn for turn in partial.turns if turn.after == len(partial.committed)]
    begin_s, begins = None, []
    end_s = 0.0
    for event in ordered:
        if isinstance(event, Word):
            assert begin_s is not None
            assert begin_s <= event.start_s
            end_s = event.end_s
        elif event.begins:
            assert begin_s is None
            assert event.time_s >= end_s
            begin_s = event.time_s
            begins.append(begin_s)
        else:
            assert begin_s is not None
            assert event.time_s >= max(begin_s, end_s)
            begin_s, end_s = None, event.time_s
    assert begin_s is None
    return begins


@LAW
@given(parts=talks, cuts=blocks, streaming=streamings)
def test_turns_enclose_their_words_wherever_blocks_end(
    numpy_recognizer: Recognizer, parts: list[tuple[float, float]], cuts: list[int], streaming: Streaming
) -> None:
    samples = talk(parts)
    found = partials(numpy_recognizer.stream(streaming=streaming), samples, cuts)
    begins = assert_words_lie_in_their_turns(found)
    once = partials(numpy_recognizer.stream(streaming=streaming), samples)
    assert begins == assert_words_lie_in_their_turns(once)


def test_each_utterance_between_pauses_is_a_turn(digits: Recognizer, clips: list[np.ndarray]) -> None:
    pauses_s = [1.5] * len(clips)
    found = partials(
        digits.stream(), joined([np.zeros(0, np.float32), *clips], [2.0, *pauses_s]), [800] * 5_000
    )
    begins = assert_words_lie_in_their_turns(found)
    assert len(begins) >= len(clips)
    assert begins[0] >= 1.5
