"""Word and character errors in percent, counted as `sewd evaluate` counts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sewd_runtime._types import Ints
from sewd_runtime.evaluation import counting
from sewd_runtime.evaluation.counting import align, count


def wer(truth: Sequence[str], texts: Sequence[str]) -> float:
    """Return the word error rate of all texts, a share."""
    return count(truth, texts).rate


def interval(wrong: Ints, words: Ints) -> tuple[float, float]:
    """Return the 95 % interval of the share of wrong words in percent, utterances drawn with replacement."""
    low, high = counting.interval(counting.draw_rates(wrong, words))
    return as_percent(low), as_percent(high)


def summarise(truth: Sequence[str], texts: Sequence[str]) -> dict[str, Any]:
    """Return word error rate with its interval, and character error rate, in percent."""
    errors = count(truth, texts)
    return {
        "wer": as_percent(errors.rate),
        "interval": interval(errors.wrong, errors.total),
        "cer": as_percent(count(truth, texts, characters=True).rate),
    }


def match(truth: Sequence[str], words: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of the words that are right: in the true text, in `words`."""
    return [
        (said, heard)
        for said, heard in align(truth, words)
        if said is not None and heard is not None and truth[said] == words[heard]
    ]


def count_words(texts: Sequence[str]) -> int:
    """Count the words of all texts."""
    return sum(len(text.split()) for text in texts)


def as_percent(share: float) -> float:
    """Return a share in percent, rounded to 0.01."""
    return round(100 * float(share), 2)
