"""Wrong words by utterance, and how sure their share is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jiwer
import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.listening import as_percent

DRAWS = 2000
Counts = NDArray[np.int64]


def count_wrong(truth: Sequence[str], texts: Sequence[str]) -> tuple[Counts, Counts]:
    """Count the wrong words and the words of each utterance, (utterances,) each, by jiwer."""
    wrong = []
    for one, text in zip(truth, texts, strict=True):
        found = jiwer.process_words(one, text) if one else None
        wrong.append(
            len(text.split()) if found is None else found.substitutions + found.deletions + found.insertions
        )
    return np.array(wrong), np.array([len(one.split()) for one in truth])


def interval(wrong: Counts, words: Counts) -> tuple[float, float]:
    """The 95 % interval of the share of wrong words in percent: utterances drawn with replacement.

    The percentile bootstrap (Bisani and Ney, ICASSP 2004) of 2,000 draws.
    """
    drawn = np.random.default_rng(0).integers(len(words), size=(DRAWS, len(words)))
    shares = wrong[drawn].sum(axis=1) / words[drawn].sum(axis=1)
    low, high = np.percentile(shares, (2.5, 97.5))
    return as_percent(low), as_percent(high)


def count_errors(truth: Sequence[str], texts: Sequence[str]) -> dict[str, Any]:
    """Word error rate with its interval, and character error rate, in percent."""
    wrong, words = count_wrong(truth, texts)
    return {
        "wer": as_percent(wrong.sum() / words.sum()),
        "interval": interval(wrong, words),
        "cer": as_percent(jiwer.cer(list(truth), list(texts))),
    }
