from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sewd_runtime.text.transcript import Segment, Transcript, Word
from sewd_runtime.text.word_times import Pauses, find_quiet, fit_transcript, fit_words

RATE = 16_000


def tone(
    *spans: tuple[float, float], duration_s: float, level: float = 0.3, noise: float = 0.0
) -> np.ndarray:
    """A tone in each span, with noise everywhere."""
    time = np.arange(round(duration_s * RATE)) / RATE
    on = np.zeros(len(time), bool)
    for start, end in spans:
        on |= (time >= start) & (time < end)
    rng = np.random.default_rng(0)
    return (level * on * np.sin(2 * np.pi * 200 * time) + noise * rng.normal(size=len(time))).astype(
        np.float32
    )


def words(*spans: tuple[float, float]) -> list[Word]:
    return [Word(text=f"W{i}", start_s=a, end_s=b, confidence=0.5) for i, (a, b) in enumerate(spans)]


def spans(fitted: tuple[Word, ...]) -> list[tuple[float, float]]:
    return [(word.start_s, word.end_s) for word in fitted]


def pauses(*quiet: tuple[float, float]) -> Pauses:
    return Pauses(starts=np.array([a for a, _ in quiet]), ends=np.array([b for _, b in quiet]))


@pytest.mark.parametrize(("noise", "allowed"), [(0.0, 0.02), (0.01, 0.02), (0.03, 0.03)])
@pytest.mark.parametrize("shift", [-0.1, -0.04, 0.0, 0.04])
def test_words_get_the_times_of_their_sound(noise: float, allowed: float, shift: float) -> None:
    """The model writes each word in one frame anywhere near its sound."""
    spoken = [(0.3, 0.7), (0.9, 1.5), (1.75, 2.0)]
    quiet = find_quiet(tone(*spoken, duration_s=2.4, noise=noise), RATE)
    given_words = words(*((a + 0.05 + shift, a + 0.07 + shift) for a, _ in spoken))
    fitted = spans(fit_words(given_words, Pauses.of(quiet), duration_s=2.4))
    np.testing.assert_allclose(fitted, spoken, rtol=0, atol=allowed)


def test_the_level_of_a_recording_never_matters() -> None:
    recording = tone((0.3, 0.7), (0.9, 1.5), duration_s=2.0, noise=0.003)
    for gain in (0.25, 2.0):
        np.testing.assert_array_equal(
            find_quiet(recording * np.float32(gain), RATE), find_quiet(recording, RATE)
        )


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100])
def test_blocks_have_the_same_length_at_any_rate(rate: int) -> None:
    samples = np.zeros(3 * rate, np.float32)
    samples[rate : 2 * rate] = 0.5
    quiet = find_quiet(samples, rate)
    assert len(quiet) == 300
    np.testing.assert_array_equal(np.flatnonzero(~quiet), np.arange(100 - 1, 200 + 1))


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(1), np.zeros(16_000), np.full(16_000, 0.1)])
def test_without_contrast_there_are_no_pauses(samples: np.ndarray) -> None:
    quiet = find_quiet(samples.astype(np.float32), RATE)
    assert len(quiet) == -(-len(samples) // 160)
    assert not quiet.any()


def test_steady_noise_has_no_pauses() -> None:
    assert not find_quiet(tone(duration_s=5, noise=0.1), RATE).any()


def test_clicks_are_not_words_and_dips_are_not_pauses() -> None:
    recording = tone((0.5, 1.0), duration_s=1.5)
    dented = recording.copy()
    dented[round(0.7 * RATE) : round(0.72 * RATE)] = 0
    clicked = recording.copy()
    clicked[round(0.2 * RATE)] = 0.5
    for other in (dented, clicked):
        np.testing.assert_array_equal(find_quiet(other, RATE), find_quiet(recording, RATE))


def test_sound_without_a_pause_belongs_to_the_word_before() -> None:
    assert spans(
        fit_words(words((0.2, 0.3), (0.6, 0.7)), pauses((0.0, 0.1), (1.0, 1.2)), duration_s=1.2)
    ) == [
        (0.1, 0.6),
        (0.6, 1.0),
    ]


def test_words_reach_only_a_short_way_from_their_tokens() -> None:
    """Music before, between and after words does not belong to them."""
    given_words = words((3.0, 3.1), (6.0, 6.1))
    assert spans(fit_words(given_words, pauses((0.0, 1.0), (8.0, 9.0)), duration_s=9.0)) == spans(
        tuple(given_words)
    )
    assert spans(fit_words(given_words, pauses((4.2, 4.5)), duration_s=9.0)) == spans(tuple(given_words))


def test_a_pause_inside_a_word_stays_inside() -> None:
    assert spans(
        fit_words(words((0.2, 0.9)), pauses((0.0, 0.1), (0.5, 0.6), (1.0, 1.5)), duration_s=1.5)
    ) == [(0.1, 1.0)]


def test_a_word_in_silence_keeps_its_times() -> None:
    given_words = words((0.2, 0.3), (0.5, 0.52), (0.6, 0.65))
    fitted = fit_words(given_words, pauses((0.0, 0.1), (0.35, 0.7), (1.0, 1.1)), duration_s=1.1)
    assert spans(fitted) == [(0.1, 0.3), (0.5, 0.52), (0.6, 1.0)]
    assert fit_words(given_words, pauses(), duration_s=1.1) == tuple(given_words)
    assert fit_words([], pauses((0.0, 1.0)), duration_s=1.1) == ()


@given(
    edges=st.lists(st.integers(0, 400), unique=True, max_size=30).map(sorted),
    quiet=st.lists(st.booleans(), min_size=0, max_size=400),
)
def test_words_stay_in_order_inside_and_never_overlap(edges: list[int], quiet: list[bool]) -> None:
    given_words = words(*((a / 50, b / 50) for a, b in zip(edges[::2], edges[1::2], strict=False)))
    found = Pauses.of(np.repeat(np.array(quiet, bool), 2))
    fitted = fit_words(given_words, found, duration_s=8.0)
    assert [word.text for word in fitted] == [word.text for word in given_words]
    times = [time for word in fitted for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert all(0 <= word.start_s < word.end_s <= 8 for word in fitted)
    for word, before in zip(fitted, given_words, strict=True):
        assert word.end_s <= before.end_s + 0.8 + 1e-9
        assert word.start_s >= before.start_s - 0.8 - 1e-9
    assert fit_words(given_words, found, duration_s=8.0) == fitted


def test_segments_follow_their_words() -> None:
    parts = tuple(words((0.35, 0.4), (0.95, 1.0)))
    segment = Segment(text="W0 W1", start_s=0.35, end_s=1.0, words=parts)
    whole = Transcript(text="W0 W1", segments=(segment,), duration_s=2.0)
    recording = tone((0.3, 0.7), (0.9, 1.5), duration_s=2.0)
    fitted = fit_transcript(whole, find_quiet(recording, RATE))
    assert fitted.text == whole.text
    [fitted_segment] = fitted.segments
    assert (fitted_segment.start_s, fitted_segment.end_s) == (fitted.words[0].start_s, fitted.words[-1].end_s)
    assert fitted.words[0].end_s < fitted.words[1].start_s
    nothing = Transcript(text="", segments=(), duration_s=0.01)
    assert fit_transcript(nothing, np.zeros(1, np.bool_)) == nothing
