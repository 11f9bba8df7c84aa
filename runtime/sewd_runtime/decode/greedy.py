"""Greedy decoding: the best label of every frame, repeats merged and blanks dropped.

Best path decoding in A. Graves et al., "Connectionist Temporal Classification", ICML 2006, section 3.2.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sewd_runtime._types import Floats, Ints, Lengths, LogProbs
from sewd_runtime.decode.decoder import Hypothesis
from sewd_runtime.text.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Greedy:
    """The best label of every frame."""

    def decode(self, log_probs: LogProbs, lengths: Lengths, vocabulary: Vocabulary) -> list[Hypothesis]:
        """Return the best path of every item; log_probs: (batch, frames, vocab), lengths: (batch,)."""
        return greedy(log_probs, lengths, vocabulary.blank_id, canonical_ids=vocabulary.canonical_ids)

    def start(self, vocabulary: Vocabulary) -> "GreedyState":
        """Return the state before the first frame, for an utterance that arrives in parts."""
        return GreedyState(vocabulary)


class GreedyState:
    """The best path so far; only its last token can still change, by lasting longer."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._past = Hypothesis()
        # The frames of a last token that may still grow.
        self._open = np.zeros((0, len(vocabulary.canonical_ids)), np.float32)
        self._num_frames = 0  # before ``_open``

    def advance(self, log_probs: LogProbs) -> None:
        """Take the next frames, (frames, vocab) float32."""
        frames = np.concatenate([self._open, log_probs])
        hypothesis = self._decode(frames)
        is_open = bool(hypothesis.ends) and hypothesis.ends[-1] == self._num_frames + len(frames)
        closed = len(hypothesis.token_ids) - is_open
        self._past = _joined(self._past, hypothesis.part(0, closed))
        begin = hypothesis.starts[-1] if is_open else self._num_frames + len(frames)
        self._open = frames[begin - self._num_frames :]
        self._num_frames = begin

    def best(self) -> Hypothesis:
        """Return the best path of all frames so far."""
        return _joined(self._past, self._decode(self._open))

    def settled(self) -> int:
        """Return how many tokens no later frame can change."""
        return len(self._past.token_ids)

    def copy(self) -> "GreedyState":
        """Return an independent copy."""
        return copy.copy(self)  # no attribute is changed in place

    def _decode(self, frames: LogProbs) -> Hypothesis:
        [hypothesis] = Greedy().decode(frames[None], np.array([len(frames)]), self._vocabulary)
        return hypothesis.shifted(self._num_frames)


def _joined(first: Hypothesis, second: Hypothesis) -> Hypothesis:
    return Hypothesis(**{name: getattr(first, name) + getattr(second, name) for name in first.__slots__})


def greedy(
    log_probs: LogProbs,
    lengths: Lengths,
    blank_id: int,
    *,
    canonical_ids: Sequence[int] | None = None,
) -> list[Hypothesis]:
    """Return the best path of every item.

    log_probs: (batch, frames, vocab) float32.
    lengths: (batch,) int64, frames of each item; frames past them are ignored.
    canonical_ids: (vocab,), as in ``Vocabulary``; None: every output has an id of its own.
    """
    batch, frames, _ = log_probs.shape
    labels = log_probs.argmax(axis=-1)
    scores = np.take_along_axis(log_probs, labels[..., None], axis=-1)[..., 0]
    if canonical_ids is not None:
        labels = np.asarray(canonical_ids, dtype=np.int64)[labels]
    labels = np.where(np.arange(frames) < np.asarray(lengths)[:, None], labels, blank_id)

    # A blank on either side of every item: a token begins, and ends, where the label changes.
    edge = np.full((batch, 1), blank_id)
    changed = np.diff(np.concatenate([edge, labels, edge], axis=1), axis=1) != 0
    is_token = labels != blank_id
    items, starts = np.nonzero(changed[:, :-1] & is_token)
    ends = np.nonzero(changed[:, 1:] & is_token)[1] + 1

    token_ids = labels[items, starts]
    means = span_means(scores, items, starts, ends)
    bounds = np.searchsorted(items, np.arange(batch + 1))
    return [
        Hypothesis(
            token_ids=tuple(token_ids[first:last].tolist()),
            starts=tuple(starts[first:last].tolist()),
            ends=tuple(ends[first:last].tolist()),
            log_probs=tuple(means[first:last].tolist()),
        )
        for first, last in pairwise(bounds)
    ]


def span_means(scores: LogProbs, items: Ints, starts: Ints, ends: Ints) -> Floats:
    """Return the mean of scores[item, start:end] of each span; scores: (batch, frames)."""
    if len(items) == 0:
        return np.zeros(0)
    # reduceat sums from each index to the next, so every second sum is a gap between spans. The zero at the
    # end makes the last span's end a valid index.
    flat = np.append(scores.astype(np.float64).ravel(), 0.0)
    edges = np.stack([starts, ends], axis=1) + items[:, None] * scores.shape[1]
    sums = np.add.reduceat(flat, edges.ravel())[::2]
    return np.asarray(sums / (ends - starts))
