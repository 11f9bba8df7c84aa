"""Laws: errors are those that jiwer counts; an interval holds its rate and narrows with more utterances."""

from __future__ import annotations

import numpy as np
import pytest

from sewd_runtime.evaluation.counting import (
    Errors,
    align_words,
    count,
    count_confusions,
    draw_rates,
    interval,
)

jiwer = pytest.importorskip("jiwer", reason="needs sewd[evaluate]")

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "zero"]


def utterances(number: int, *, seed: int = 0) -> tuple[list[str], list[str]]:
    """Return references, and texts with words replaced, left out and inserted."""
    rng = np.random.default_rng(seed)
    references, texts = [], []
    for _ in range(number):
        words = list(rng.choice(WORDS, rng.integers(1, 12)))
        heard = [
            [word, "", str(rng.choice(WORDS)), f"{word} uh"][kind]
            for word, kind in zip(words, rng.choice(4, len(words), p=(0.85, 0.05, 0.05, 0.05)), strict=True)
        ]
        references.append(" ".join(words))
        texts.append(" ".join(heard))
    return references, texts


def rates(errors: Errors) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return draw_rates(errors.wrong, errors.total)


def test_rates_are_jiwers() -> None:
    references, texts = utterances(200)
    assert count(references, texts).rate == jiwer.wer(references, texts)
    assert count(references, texts, characters=True).rate == jiwer.cer(
        references, [" ".join(text.split()) for text in texts]
    )
    whole = jiwer.process_words(references, texts)
    errors = count(references, texts)
    for kind in ("substitutions", "deletions", "insertions"):
        assert getattr(errors, kind).sum() == getattr(whole, kind)
    assert errors.total.sum() == sum(len(reference.split()) for reference in references)


def test_without_a_reference_all_is_inserted() -> None:
    errors = count(["", "one"], ["one  two", ""])
    assert (errors.insertions.tolist(), errors.deletions.tolist()) == ([2, 0], [0, 1])
    assert errors.rate == 3
    assert count([""], ["a  bc"], characters=True).insertions.tolist() == [4]


@pytest.mark.parametrize("seed", range(5))
def test_an_interval_holds_the_rate_and_narrows(seed: int) -> None:
    widths = []
    for number in (30, 300, 3000):
        errors = count(*utterances(number, seed=seed))
        low, high = interval(rates(errors))
        assert low < errors.rate < high
        widths.append(high - low)
    # The standard error falls with the square root of the number.
    assert 2 < widths[0] / widths[1] < 5 and 2 < widths[1] / widths[2] < 5


def test_draws_are_of_whole_utterances_and_the_same_for_every_system() -> None:
    errors = count(*utterances(100))
    np.testing.assert_array_equal(draw_rates(2 * errors.wrong, errors.total), 2 * rates(errors))
    assert interval(rates(errors) - rates(errors)) == (0, 0)


def test_a_paired_interval_is_narrower_than_the_systems_own() -> None:
    references, texts = utterances(300)
    better = [*texts[:290], *references[290:]]
    one, other = (rates(count(references, some)) for some in (better, texts))
    low, high = interval(one - other)
    assert low <= count(references, better).rate - count(references, texts).rate <= high <= 0
    assert high - low < np.diff(interval(other)) / 2


def test_draws_without_a_word_are_left_out() -> None:
    drawn = rates(count(["", "", "one two"], ["uh", "", "one"]))
    assert len(drawn) < 2000
    assert np.isfinite(drawn).all()


def test_confusions_are_the_words_that_differ() -> None:
    assert list(align_words("one two six", "two six nine")) == [
        ("one", ""),
        ("two", "two"),
        ("six", "six"),
        ("", "nine"),
    ]
    confusions = count_confusions(["one two", "one", ""], ["nine two", "nine", "uh"])
    assert confusions == {("one", "nine"): 2, ("", "uh"): 1}
