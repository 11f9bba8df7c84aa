"""Laws: a long recording is split where nobody speaks, however it is read, and nothing loud is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sewd_runtime import Recognizer
from sewd_runtime.audio import decoding
from sewd_runtime.audio.reading import read_audio, stream_audio
from sewd_runtime.errors import AudioValueError
from sewd_runtime.long.segmentation import SEGMENTATION, Segmentation, find_regions

RATE_HZ = 1_000  # a frame is 20 samples, half a minute 30,000
SHORT = Segmentation(pause_s=0.5, margin_s=0.2)

# (seconds of speech, seconds of silence after it)
talks = st.lists(st.tuples(st.floats(0.1, 9.0), st.floats(0.0, 9.0)), min_size=1, max_size=12)


def talk(parts: Sequence[tuple[float, float]], *, seed: int = 0) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Return noise 50 dB above noise, and the first and last sample of each loud stretch."""
    random = np.random.default_rng(seed)
    pieces, places, length = [], [], 0
    for loud_s, quiet_s in parts:
        loud, quiet = round(loud_s * RATE_HZ), round(quiet_s * RATE_HZ)
        pieces += [0.3 * random.standard_normal(loud), 1e-3 * random.standard_normal(quiet)]
        places.append((length, length + loud))
        length += loud + quiet
    return np.concatenate(pieces).astype(np.float32), places


def in_parts(whole: np.ndarray, parts: Sequence[int]) -> Iterator[np.ndarray]:
    edges = np.minimum(np.cumsum([0, *parts]), len(whole))
    for begin, end in zip(edges, [*edges[1:], len(whole)], strict=True):
        yield whole[begin:end]


@dataclass(frozen=True)
class Region:
    begin: int
    samples: np.ndarray


def regions(
    samples: np.ndarray, parts: Sequence[int] = (), segmentation: Segmentation = SHORT
) -> list[Region]:
    found, held = [], []
    for part in find_regions(in_parts(samples, parts), segmentation, sample_rate_hz=RATE_HZ):
        held.append(part)
        if part.is_last:
            assert {each.begin for each in held} == {part.begin}
            found.append(Region(part.begin, np.concatenate([each.samples for each in held])))
            held = []
    assert not held
    return found


@settings(deadline=None)
@given(parts=talks, blocks=st.lists(st.integers(0, 40_000), max_size=6))
def test_where_blocks_end_never_matters(parts: list[tuple[float, float]], blocks: list[int]) -> None:
    samples, _ = talk(parts)
    for one, other in zip(regions(samples), regions(samples, blocks), strict=True):
        assert one.begin == other.begin
        np.testing.assert_array_equal(one.samples, other.samples)


@settings(deadline=None)
@given(parts=talks)
def test_regions_are_the_recording_in_order(parts: list[tuple[float, float]]) -> None:
    samples, _ = talk(parts)
    end = 0
    for region in regions(samples):
        assert region.begin >= end
        end = region.begin + len(region.samples)
        np.testing.assert_array_equal(region.samples, samples[region.begin : end])
    assert end <= len(samples)


@settings(deadline=None)
@given(parts=talks)
def test_nothing_loud_is_lost(parts: list[tuple[float, float]]) -> None:
    samples, places = talk(parts)
    heard = np.zeros(len(samples), bool)
    for region in regions(samples):
        heard[region.begin : region.begin + len(region.samples)] = True
    for begin, end in places:
        assert heard[begin:end].all()


def test_longer_silence_changes_no_region() -> None:
    short, _ = talk([(2, 1), (3, 1), (1, 1)])
    [*before, last] = regions(short)
    pause = (1e-3 * np.random.default_rng(1).standard_normal(200_000)).astype(np.float32)
    longer = np.concatenate([short[: before[-1].begin + len(before[-1].samples)], pause, short[last.begin :]])
    found = regions(longer)
    assert [len(region.samples) for region in found] == [len(region.samples) for region in [*before, last]]
    np.testing.assert_array_equal(found[-1].samples[400:], last.samples[400:])  # past the margin


def test_silence_has_no_region_and_steady_sound_is_one() -> None:
    assert regions(np.zeros(100_000, np.float32)) == []
    steady = 0.1 * np.random.default_rng(2).standard_normal(100_000).astype(np.float32)
    [region] = regions(steady)
    assert region.begin == 0
    np.testing.assert_array_equal(region.samples, steady)


@given(parts=talks, blocks=st.lists(st.integers(0, 40_000), max_size=6))
def test_without_pauses_the_recording_is_one_region(
    parts: list[tuple[float, float]], blocks: list[int]
) -> None:
    samples, _ = talk(parts)
    [region] = regions(samples, blocks, Segmentation(pause_s=None))
    assert region.begin == 0
    np.testing.assert_array_equal(region.samples, samples)


def test_at_most_a_minute_is_held() -> None:
    random = np.random.default_rng(4)
    given = 0

    def blocks() -> Iterator[np.ndarray]:
        nonlocal given
        for _ in range(200):
            given += 5_000
            yield random.standard_normal(5_000).astype(np.float32)

    taken = 0
    for part in find_regions(blocks(), SHORT, sample_rate_hz=RATE_HZ):
        taken += len(part.samples)
        assert given - taken <= 60 * RATE_HZ
    assert taken == given


@pytest.mark.parametrize(
    "wrong",
    [
        {"pause_s": 0.4, "margin_s": 0.3},
        {"pause_s": 0, "margin_s": 0},
        {"whole_s": -1},
        {"margin_s": -0.1},
        {"context_s": 0.0},
        {"chunk_s": 7.0},
        {"chunk_s": 0.9, "context_s": 0.1},
    ],
)
def test_invalid_segmentation_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(AudioValueError, match="must be at"):
        Segmentation(**wrong)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_audio_in_blocks_is_the_audio(rate_hz: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, (20_011, 2)), rate_hz)
    whole = read_audio(path)
    monkeypatch.setattr(decoding, "BLOCK_FRAMES", 997)
    blocks = list(stream_audio(path))
    assert len(blocks) > 10
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


@pytest.fixture(scope="module")
def digits() -> Recognizer:
    return Recognizer.load(threads=1)


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    folder = Path(__file__).parents[3] / "export/sewd_export/speech"
    return [read_audio(path) for path in sorted(folder.glob("*.flac"))]


def test_a_long_file_has_the_words_and_times_of_its_parts(
    digits: Recognizer, clips: list[np.ndarray], tmp_path: Path
) -> None:
    random = np.random.default_rng(3)
    gaps = [round(16_000 * seconds) for seconds in random.uniform(0.6, 8, 3 * len(clips))]
    quiet = [(1e-4 * random.standard_normal(gap)).astype(np.float32) for gap in gaps]
    path = tmp_path / "long.wav"
    joined = np.concatenate([part for pair in zip(clips * 3, quiet, strict=True) for part in pair])
    soundfile.write(path, joined, 16_000, subtype="FLOAT")
    assert len(joined) > 16_000 * SEGMENTATION.whole_s
    found = digits.transcribe(path)
    assert found == digits.transcribe(joined)
    assert found.duration_s == len(joined) / 16_000

    offsets = np.cumsum([0, *(len(clip) + gap for clip, gap in zip(clips * 3, gaps, strict=True))]) / 16_000
    alone = [digits.transcribe(clip) for clip in clips] * 3
    words = [(word, at) for transcript, at in zip(alone, offsets, strict=False) for word in transcript.words]
    different = [(a.text, b.text) for a, (b, _) in zip(found.words, words, strict=True) if a.text != b.text]
    assert len(different) <= len(words) // 10  # a region is not the clip to the sample
    starts = [at + word.start_s for word, at in words]
    np.testing.assert_allclose([word.start_s for word in found.words], starts, atol=0.06)


def test_a_short_recording_runs_whole(digits: Recognizer, clips: list[np.ndarray]) -> None:
    for clip in clips:
        whole = digits.transcribe(clip, segmentation=Segmentation(whole_s=len(clip) / 16_000))
        assert whole == digits.transcribe(clip)
        parted = digits.transcribe(clip, segmentation=Segmentation(whole_s=len(clip) / 16_000 - 0.001))
        assert parted.duration_s == whole.duration_s
