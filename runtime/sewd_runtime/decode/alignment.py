"""Forced alignment: the frames of known tokens, by their best path through an emission."""

from collections.abc import Sequence
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Floats, Ints, LogProbs
from sewd_runtime.decode.decoder import Hypothesis
from sewd_runtime.decode.greedy import span_means
from sewd_runtime.errors import AlignmentError

_WILDCARD_COST = 1e-3
"""Less than anything that a model can mean, more than rounding."""


def align_tokens(
    log_probs: LogProbs,
    token_ids: Sequence[int],
    *,
    blank_id: int,
    canonical_ids: Sequence[int] | None = None,
    first_wildcard: int | None = None,
) -> Hypothesis:
    """Return the most probable of all paths that are written as these tokens (Viterbi).

    log_probs: (frames, vocab) float32.
    token_ids: in order, repeats merged, no blanks.
    canonical_ids: (vocab,), as in ``Vocabulary``; None: every output has an id of its own.
    first_wildcard: ids from this on match anything for a frame or more, like the star token of V. Pratap et
        al., "Scaling Speech Technology to 1,000+ Languages", 2023. A frame of a wildcard scores as its best
        output does, less a little, so that silence around it stays blank. The model says nothing of what it
        stands for: its log-probability in the result is -inf.
    The states of a path are the tokens with a blank before, between and after them. From frame to frame a
    path stays in its state, moves to the next, or skips a blank between tokens that differ (A. Graves et al.,
    "Connectionist Temporal Classification", ICML 2006, equations 6 to 8, with the maximum in place of the
    sum). Memory grows with ``sqrt(frames) * tokens``.

    Raises AlignmentError: a token is the blank or not an output, or there are too few frames for the tokens.
    """
    if canonical_ids is not None:
        log_probs = merge_outputs(log_probs, canonical_ids, np.maximum)
        num_ids = len(canonical_ids)
        token_ids = [canonical_ids[token] if 0 <= token < num_ids else token for token in token_ids]
    tokens, given = np.asarray(token_ids, np.int64), token_ids
    is_wildcard = np.zeros(len(tokens), np.bool_)
    if first_wildcard is not None:
        is_wildcard = tokens >= first_wildcard
        tokens = np.where(is_wildcard, log_probs.shape[1], tokens)
        anything = log_probs.max(axis=1, keepdims=True, initial=-np.inf) - _WILDCARD_COST
        log_probs = np.concatenate([log_probs, anything], axis=1)
    _check(len(log_probs), log_probs.shape[1], tokens, blank_id)
    if len(tokens) == 0:
        return Hypothesis()
    labels = np.full(2 * len(tokens) + 1, blank_id)
    labels[1::2] = tokens
    path = _best_path(log_probs, labels)
    states = np.arange(1, len(labels), 2)
    starts, ends = np.searchsorted(path, states), np.searchsorted(path, states, side="right")
    scores = log_probs[np.arange(len(path)), labels[path]]
    means = span_means(scores[None], np.zeros_like(starts), starts, ends)
    means[is_wildcard] = -np.inf
    return Hypothesis(
        token_ids=tuple(map(int, given)),
        starts=tuple(starts.tolist()),
        ends=tuple(ends.tolist()),
        log_probs=tuple(means.tolist()),
    )


def merge_outputs(log_probs: LogProbs, canonical_ids: Sequence[int], combine: np.ufunc) -> LogProbs:
    """Return log_probs, (..., vocab), with the outputs that share a canonical id combined in its place."""
    canonical = np.asarray(canonical_ids)
    others = np.flatnonzero(canonical != np.arange(len(canonical)))
    if len(others) == 0:
        return log_probs
    # The id of an unknown token that is not an output is past the outputs.
    missing = max(0, int(canonical.max()) + 1 - log_probs.shape[-1])
    padding = [(0, 0)] * (log_probs.ndim - 1) + [(0, missing)]
    merged = np.pad(log_probs, padding, constant_values=-np.inf)
    for output in others:
        target = canonical[output]
        merged[..., target] = combine(merged[..., target], log_probs[..., output])
        merged[..., output] = -np.inf
    return merged


def _check(num_frames: int, num_outputs: int, tokens: Ints, blank_id: int) -> None:
    wrong = np.flatnonzero((tokens < 0) | (tokens >= num_outputs) | (tokens == blank_id))
    if len(wrong):
        raise AlignmentError(
            f"token {wrong[0]} has the id {tokens[wrong[0]]}, which is the blank or not one of the "
            f"{num_outputs} outputs; align only tokens that the model can write"
        )
    repeats = int((tokens[1:] == tokens[:-1]).sum())
    if len(tokens) + repeats > num_frames:
        raise AlignmentError(
            f"{len(tokens)} tokens, with a blank in each of {repeats} repeats, need {len(tokens) + repeats} "
            f"frames and there are {num_frames}; give a shorter text or all of its audio"
        )


def _best_path(log_probs: LogProbs, labels: Ints) -> Ints:
    """Return the state of every frame, (frames,) int64.

    labels: (states,), the output of each state. To save memory, only the scores before each block of
    ``sqrt(frames)`` frames are kept; the moves within a block are computed again from them.
    """
    num_frames = len(log_probs)
    block = isqrt(num_frames) + 1
    # A token may follow another without a blank between them, unless the two are equal.
    skip_penalty = np.full(len(labels), -np.inf)
    skip_penalty[3::2][labels[3::2] != labels[1:-2:2]] = 0
    scores = np.full(len(labels), -np.inf)
    scores[0] = 0  # as if there were a blank before the first frame
    before = []
    for first in range(0, num_frames, block):
        before.append(scores)
        scores, _ = _advance(scores, log_probs[first : first + block], labels, skip_penalty)
    state = len(labels) - (2 if scores[-2] > scores[-1] else 1)
    if scores[state] == -np.inf:
        raise AlignmentError("no path of the tokens has a probability above 0; give the text of this audio")
    path = np.empty(num_frames, np.int64)
    for index in reversed(range(len(before))):
        _, moves = _advance(
            before[index], log_probs[index * block : (index + 1) * block], labels, skip_penalty
        )
        for frame in reversed(range(len(moves))):
            path[index * block + frame] = state
            state -= int(moves[frame, state])
    return path


def _advance(
    scores: Floats, log_probs: LogProbs, labels: Ints, skip_penalty: Floats
) -> tuple[Floats, NDArray[np.int8]]:
    """Return the best score of a path to each state, and by how many states it moved in each frame.

    scores: (states,) float64 before the frames. skip_penalty: (states,), 0 where a blank may be
    skipped, else -inf. Returns (states,) float64 and (frames, states) int8.
    """
    moves = np.zeros((len(log_probs), len(labels)), np.int8)
    padded = np.concatenate([[-np.inf, -np.inf], scores])
    skip, step, stay = padded[:-2], padded[1:-1], padded[2:]
    for row, move in zip(log_probs, moves, strict=True):
        best = np.maximum(stay, step)
        leap = skip + skip_penalty
        move[:] = step > stay
        move[leap > best] = 2
        np.maximum(best, leap, out=best)
        stay[:] = best + row[labels]
    return stay, moves
