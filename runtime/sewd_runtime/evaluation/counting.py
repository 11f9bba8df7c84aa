"""Word and character errors, counted by jiwer, with bootstrap intervals."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sewd_runtime._types import Floats, Ints
from sewd_runtime.errors import MissingPackageError

DRAWS = 2000
METHOD = f"95 % intervals: percentile bootstrap, {DRAWS:,} draws of utterances with replacement"
_BLOCK = 4_000_000  # utterances drawn at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Counts by utterance, (utterances,) int64 each, in words or in characters.

    substitutions, deletions, insertions: units replaced, left out and too many. total: of the references.
    """

    substitutions: Ints
    deletions: Ints
    insertions: Ints
    total: Ints

    @property
    def wrong(self) -> Ints:
        """All errors of each utterance."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """All errors over all units of the references; nan if there are none."""
        return float(np.divide(self.wrong.sum(), self.total.sum(), dtype=np.float64))


def count(references: Sequence[str], texts: Sequence[str], *, characters: bool = False) -> Errors:
    """Count the errors of each text in words or in characters, spaces among them.

    All of a text is inserted where the reference is empty. Raises MissingPackageError without jiwer.
    """
    jiwer = find_jiwer()
    process = jiwer.process_characters if characters else jiwer.process_words
    rows = []
    for reference, text in zip(references, texts, strict=True):
        said, heard = (" ".join(one.split()) for one in (reference, text))
        if said:
            found = process(said, heard)
            total = found.hits + found.substitutions + found.deletions
            rows.append((found.substitutions, found.deletions, found.insertions, total))
        else:
            rows.append((0, 0, len(heard if characters else heard.split()), 0))
    substitutions, deletions, insertions, totals = np.array(rows, np.int64).reshape(-1, 4).T
    return Errors(substitutions=substitutions, deletions=deletions, insertions=insertions, total=totals)


def draw_rates(wrong: Ints, total: Ints) -> Floats:
    """Return the rate of each of 2,000 draws of utterances with replacement, (draws,) float64.

    wrong, total: the errors and the units of the references by utterance, (utterances,) int64 each.
    Seeded, so that the draws of two systems on the same references are of the same utterances, and their
    differences are paired. Draws without any unit of a reference are left out.
    """
    rng, num_utterances = np.random.default_rng(0), len(total)
    rates, remaining = [], DRAWS
    while remaining:
        block = min(remaining, max(1, _BLOCK // num_utterances))
        drawn = rng.integers(num_utterances, size=(block, num_utterances))
        totals = total[drawn].sum(axis=1)
        rates.append(wrong[drawn].sum(axis=1)[totals > 0] / totals[totals > 0])
        remaining -= block
    return np.concatenate(rates)


def interval(drawn: Floats) -> tuple[float, float]:
    """Return the 95 % interval of a rate, or of the difference of two, from its draws.

    The percentile bootstrap (Bisani and Ney, ICASSP 2004).
    """
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(low), float(high)


def align(reference: Sequence[str], words: Sequence[str]) -> Iterator[tuple[int | None, int | None]]:
    """Yield the places of aligned words, None for a word that is left out of ``words`` or inserted there."""
    if not reference or not words:
        yield from ((place, None) for place in range(len(reference)))
        yield from ((None, place) for place in range(len(words)))
        return
    for chunk in find_jiwer().process_words(" ".join(reference), " ".join(words)).alignments[0]:
        said = range(chunk.ref_start_idx, chunk.ref_end_idx)
        heard = range(chunk.hyp_start_idx, chunk.hyp_end_idx)
        if chunk.type in ("equal", "substitute"):
            yield from zip(said, heard, strict=True)
        else:
            yield from ((place, None) for place in said)
            yield from ((None, place) for place in heard)


def align_words(reference: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield the aligned words of two texts, "" for one that is left out or inserted."""
    said, heard = reference.split(), text.split()
    for one, other in align(said, heard):
        yield "" if one is None else said[one], "" if other is None else heard[other]


def count_confusions(references: Sequence[str], texts: Sequence[str]) -> Counter[tuple[str, str]]:
    """Count each pair of a word and what was recognized in its place, "" for nothing."""
    pairs = zip(references, texts, strict=True)
    return Counter((said, heard) for pair in pairs for said, heard in align_words(*pair) if said != heard)


def find_jiwer() -> Any:
    """Return jiwer; raises MissingPackageError, which names the extra."""
    try:
        import jiwer
    except ImportError as error:
        raise MissingPackageError(
            f"error rates need jiwer: pip install 'sewd[evaluate]' ({error})"
        ) from error
    return jiwer
