"""Interpolated modified Kneser-Ney estimates of n-gram probabilities."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

Gram: TypeAlias = tuple[str, ...]

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"

_FALLBACK = (0.5, 1.0, 1.5)
"""Discounts for text that is too small or too regular to estimate them (KenLM's ``--discount_fallback``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ngrams:
    """A back-off model: ``p(w | context)`` is listed or is ``back_off(context) * p(w | shorter context)``.

    probabilities: for each order from 1, n-gram → probability of its last word given the others.
    back_offs: context → its back-off weight; 1 for contexts that are missing.
    """

    probabilities: tuple[Mapping[Gram, float], ...]
    back_offs: Mapping[Gram, float]


def estimate(sentences: Iterable[Sequence[str]], *, order: int) -> Ngrams:
    """Return the model of sentences, each a list of words; ``<unk>`` is the unknown word.

    S. Chen and J. Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling", Harvard
    TR-10-98, section 3 (modified Kneser-Ney, interpolated); K. Heafield et al., "Scalable Modified Kneser-Ney
    Language Model Estimation", ACL 2013: n-grams that begin a sentence keep their counts, and the unigrams
    are interpolated with the uniform distribution over all words, ``<unk>`` and ``</s>``.
    """
    adjusted = _adjust(_count(sentences, order))
    words = {gram[0] for gram in adjusted[0]} | {UNKNOWN}
    shorter: Mapping[Gram, float] = {(): 1 / len(words)}
    probabilities: list[Mapping[Gram, float]] = []
    back_offs: dict[Gram, float] = {}
    for counts in adjusted:
        discounts = find_discounts(counts.values())
        totals: defaultdict[Gram, float] = defaultdict(float)
        left: defaultdict[Gram, float] = defaultdict(float)
        for gram, count in counts.items():
            totals[gram[:-1]] += count
            left[gram[:-1]] += discounts[min(count, 3) - 1]
        weights = {context: left[context] / total for context, total in totals.items()}
        estimates = {
            gram: (count - discounts[min(count, 3) - 1]) / totals[gram[:-1]]
            + weights[gram[:-1]] * shorter[gram[1:]]
            for gram, count in counts.items()
        }
        if not probabilities:
            estimates.setdefault((UNKNOWN,), weights[()] * shorter[()])
        probabilities.append(estimates)
        back_offs.update(weights)
        shorter = estimates
    del back_offs[()]
    return Ngrams(probabilities=tuple(probabilities), back_offs=back_offs)


def find_discounts(counts: Iterable[int]) -> tuple[float, float, float]:
    """Return the discounts of n-grams seen once, twice and more often (Chen and Goodman, equation 26)."""
    seen = Counter(count for count in counts if count <= 4)
    if not all(seen[count] for count in (1, 2, 3)):
        return _FALLBACK
    share = seen[1] / (seen[1] + 2 * seen[2])
    first, second, third = (
        count - (count + 1) * share * seen[count + 1] / seen[count] for count in (1, 2, 3)
    )
    if not (0 < first <= 1 and 0 < second <= 2 and 0 < third <= 3):
        return _FALLBACK
    return first, second, third


def _count(sentences: Iterable[Sequence[str]], order: int) -> list[Counter[Gram]]:
    """Return the counts of n-grams in the sentences, for each order from 1."""
    counts: list[Counter[Gram]] = [Counter() for _ in range(order)]
    for sentence in sentences:
        words = (BEGIN, *sentence, END)
        for length, counter in enumerate(counts, 1):
            counter.update(words[begin : begin + length] for begin in range(len(words) - length + 1))
    return counts


def _adjust(counts: Sequence[Counter[Gram]]) -> list[Counter[Gram]]:
    """Return, for all but the longest n-grams, the number of different words before them.

    An n-gram at the beginning of a sentence keeps its count; ``<s>`` itself is never predicted.
    """
    adjusted = []
    for shorter, longer in pairwise(counts):
        behind = Counter(gram[1:] for gram in longer)
        behind.update({gram: count for gram, count in shorter.items() if gram[0] == BEGIN})
        adjusted.append(behind)
    adjusted.append(counts[-1])
    del adjusted[0][BEGIN,]
    return adjusted
