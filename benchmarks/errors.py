"""Word and character errors, counted by jiwer, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jiwer
import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Counts by utterance, (utterances,) each.

    wrong: words replaced, left out or too many. missing: those left out. words: of the true texts.
    """

    wrong: Counts
    missing: Counts
    words: Counts

    @property
    def wer(self) -> float:
        """The word error rate, a share."""
        return float(self.wrong.sum() / self.words.sum())


def count(truth: Sequence[str], texts: Sequence[str]) -> Errors:
    """Count the errors of each text; every word of a text is wrong where the true one is empty."""
    rows = []
    for said, text in zip(truth, texts, strict=True):
        result = jiwer.process_words(said, text) if said else None
        rows.append(
            (len(text.split()), 0, 0)
            if result is None
            else (
                result.substitutions + result.deletions + result.insertions,
                result.deletions,
                len(said.split()),
            )
        )
    wrong, missing, words = np.array(rows, np.int64).T
    return Errors(wrong=wrong, missing=missing, words=words)


def wer(truth: Sequence[str], texts: Sequence[str]) -> float:
    """Return the word error rate of all texts, a share."""
    return count(truth, texts).wer


def interval(wrong: Counts, words: Counts) -> tuple[float, float]:
    """Return the 95 % interval of the share of wrong words in percent, utterances drawn with replacement.

    The percentile bootstrap (Bisani and Ney, ICASSP 2004) of 2,000 draws.
    """
    drawn = np.random.default_rng(0).integers(len(words), size=(DRAWS, len(words)))
    shares = wrong[drawn].sum(axis=1) / words[drawn].sum(axis=1)
    low, high = np.percentile(shares, (2.5, 97.5))
    return as_percent(low), as_percent(high)


def summarise(truth: Sequence[str], texts: Sequence[str]) -> dict[str, Any]:
    """Return word error rate with its interval, and character error rate, in percent."""
    errors = count(truth, texts)
    return {
        "wer": as_percent(errors.wer),
        "interval": interval(errors.wrong, errors.words),
        "cer": as_percent(jiwer.cer(list(truth), list(texts))),
    }


def align(truth: Sequence[str], words: Sequence[str]) -> Iterator[tuple[int | None, int | None]]:
    """Yield the places of aligned words, None for a word that is left out of `words` or is too many there."""
    if not truth or not words:
        yield from ((place, None) for place in range(len(truth)))
        yield from ((None, place) for place in range(len(words)))
        return
    for chunk in jiwer.process_words(" ".join(truth), " ".join(words)).alignments[0]:
        said = range(chunk.ref_start_idx, chunk.ref_end_idx)
        heard = range(chunk.hyp_start_idx, chunk.hyp_end_idx)
        if chunk.type in ("equal", "substitute"):
            yield from zip(said, heard, strict=True)
        else:
            yield from ((place, None) for place in said)
            yield from ((None, place) for place in heard)


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
