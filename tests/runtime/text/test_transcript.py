from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sewd_runtime import Transcript
from sewd_runtime.bundle.manifest import CtcEntry
from sewd_runtime.decode import Hypothesis
from sewd_runtime.text.frames import FrameClock
from sewd_runtime.text.vocabulary import Vocabulary

CLOCK = FrameClock(stride=320, sample_rate_hz=16_000)
TOKENS = {"<pad>": 0, "|": 1, "A": 2, "B": 3}


def vocabulary(word_delimiter: str | None = "|") -> Vocabulary:
    ctc = CtcEntry(
        blank_id=0,
        unknown_token=None,
        word_delimiter=word_delimiter,
        do_lower_case=False,
        clean_up_spaces=False,
    )
    return Vocabulary.from_manifest(TOKENS, ctc, len(TOKENS))


def transcript(
    ids: list[int], duration_s: float = 60.0, word_delimiter: str | None = "|", characters: bool = False
) -> Transcript:
    """Return a path whose token ``i`` has frames ``2 i`` and ``2 i + 1`` with probability 1 / (i + 2)."""
    places = range(len(ids))
    hypothesis = Hypothesis(
        token_ids=tuple(ids),
        starts=tuple(2 * place for place in places),
        ends=tuple(2 * place + 2 for place in places),
        log_probs=tuple(-math.log(place + 2) for place in places),
    )
    return Transcript.from_hypothesis(
        hypothesis,
        vocabulary=vocabulary(word_delimiter),
        clock=CLOCK,
        duration_s=duration_s,
        characters=characters,
    )


def test_words_and_their_times() -> None:
    result = transcript([2, 3, 1, 3])
    assert result.text == "AB B"
    first, second = result.words
    assert (first.text, first.start_s, first.end_s) == ("AB", 0.0, 0.08)
    assert (second.text, second.start_s, second.end_s) == ("B", 0.12, 0.16)
    assert first.confidence == 0.40825  # the root of 1 / 2 * 1 / 3, in five digits
    assert second.confidence == 0.2
    [segment] = result.segments
    assert (segment.text, segment.start_s, segment.end_s) == ("AB B", 0.0, 0.16)


def test_no_word_ends_after_the_recording() -> None:
    assert transcript([2, 3], duration_s=0.0751).words[-1].end_s == 0.0751


@pytest.mark.parametrize("ids", [[], [1], [1, 1, 1]])
def test_tokens_without_text_make_no_word(ids: list[int]) -> None:
    result = transcript(ids)
    assert (result.text, result.words, result.segments, result.duration_s) == ("", (), (), 60.0)


def test_without_a_delimiter_each_token_is_a_word() -> None:
    assert [word.text for word in transcript([2, 3, 2], word_delimiter=None).words] == [*"ABA"]


@given(st.lists(st.integers(1, 3), max_size=30))
def test_words_are_the_text_in_order(ids: list[int]) -> None:
    result = transcript(ids)
    assert [word.text for word in result.words] == result.text.split()
    times = [time for word in result.words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert all(0 < word.confidence <= 1 for word in result.words)


@given(st.lists(st.integers(0, 3), max_size=30))
def test_characters_are_the_word_in_order(ids: list[int]) -> None:
    duration_s = 0.02 * 2 * len(ids) - 0.01  # the last frame may end after the recording
    without, result = (
        transcript(ids, duration_s=duration_s),
        transcript(ids, duration_s=duration_s, characters=True),
    )
    assert all(word.characters == () for word in without.words)
    assert len(result.words) == len(without.words)
    for word, plain in zip(result.words, without.words, strict=True):
        assert (word.text, word.start_s, word.end_s) == (plain.text, plain.start_s, plain.end_s)
        assert "".join(one.text for one in word.characters) == word.text
        times = [time for one in word.characters for time in (one.start_s, one.end_s)]
        assert times == sorted(times)
        assert word.start_s <= times[0] and times[-1] <= word.end_s
        posteriors = [math.log(one.confidence) for one in word.characters]
        assert 0 not in ids or word.confidence <= 1
        if 0 not in ids:
            assert math.exp(sum(posteriors) / len(posteriors)) == pytest.approx(word.confidence, rel=1e-4)


def test_shifted_moves_all_times_equally() -> None:
    [segment] = transcript([2, 3, 1, 3], characters=True).segments
    moved = segment.shifted(2.5)
    parts = [segment, *segment.words, *(one for word in segment.words for one in word.characters)]
    for old, new in zip(
        parts, [moved, *moved.words, *(one for word in moved.words for one in word.characters)], strict=True
    ):
        assert (new.start_s, new.end_s) == (old.start_s + 2.5, old.end_s + 2.5)  # type: ignore[attr-defined]
        assert new.text == old.text  # type: ignore[attr-defined]
