"""When words begin and end: the model's frames fitted to the pauses of the recording."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Samples
from sewd_runtime.audio.loudness import (
    MIN_CONTRAST_DB,
    SPEECH_RANGE_DB,
    WORD_SHARE,
    Levels,
    as_db,
    find_runs,
)
from sewd_runtime.text.transcript import Segment, Transcript, Word

BLOCK_S = 0.01
_SMOOTHED_BLOCKS = 3
_MIN_BLOCKS = 5
"""Shorter sounds are clicks and shorter pauses are dips: 30 ms plus smoothing, less than any phone."""

_NEAR_S = 0.02
_REACH_S = 0.8
"""The longest time between a word's tokens and the edge of its sound: a long syllable, or an early token."""

_BEFORE = Word(text="", start_s=-math.inf, end_s=-math.inf, confidence=1.0)
_AFTER = Word(text="", start_s=math.inf, end_s=math.inf, confidence=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """The pauses of a recording in order, in seconds: ``starts`` and ``ends``, (pauses,) float64."""

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]

    @classmethod
    def of(cls, quiet: NDArray[np.bool_]) -> "Pauses":
        """Return the runs of quiet blocks; quiet: (blocks,) bool, blocks of ``BLOCK_S``."""
        edges = np.array(find_runs(quiet), np.float64).reshape(-1, 2) / round(1 / BLOCK_S)
        return cls(starts=edges[:, 0], ends=edges[:, 1])


def find_quiet(samples: Samples, sample_rate_hz: int) -> NDArray[np.bool_]:
    """Return which blocks of ``BLOCK_S`` are quiet, (blocks,) bool; none is where the contrast is too low.

    A block is quiet 30 dB below the loud level (98th percentile) or, in noise, below 0.4 of the way in dB
    from the quiet level (5th percentile) to the loud; levels are smoothed over 30 ms. Sounds and pauses last
    at least 50 ms. These numbers were chosen on recordings of digits with and without noise, none of them in
    a test set.
    """
    blocks_db = _block_levels(samples, sample_rate_hz)
    if len(blocks_db) == 0:
        return np.zeros(0, np.bool_)
    levels = Levels.of(blocks_db)
    if levels.contrast_db < MIN_CONTRAST_DB:
        return np.zeros(len(blocks_db), np.bool_)
    threshold_db = max(levels.loud_db - SPEECH_RANGE_DB, levels.threshold_db(WORD_SHARE))
    loud = _without_short(blocks_db >= threshold_db)
    return _without_short(~loud, keep_edges=True)


def fit_transcript(transcript: Transcript, quiet: NDArray[np.bool_]) -> Transcript:
    """Return the transcript with its words fitted to the pauses of the recording.

    quiet: (blocks,) bool, the result of ``find_quiet`` for the whole recording.
    """
    pauses = Pauses.of(quiet)
    return replace(
        transcript,
        segments=tuple(_fit_segment(one, pauses, transcript.duration_s) for one in transcript.segments),
    )


def _fit_segment(segment: Segment, pauses: Pauses, duration_s: float) -> Segment:
    words = fit_words(segment.words, pauses, duration_s=duration_s)
    return replace(segment, words=words, start_s=words[0].start_s, end_s=words[-1].end_s)


def fit_words(words: Sequence[Word], pauses: Pauses, *, duration_s: float) -> tuple[Word, ...]:
    """Return the words with the times at which their sound begins and ends.

    A CTC model writes a letter somewhere in or near its sound, most often in one frame. So a word begins at
    the end of the last pause that touches the frames between its tokens and those of the word before, and the
    word before ends at the start of that pause. Without a pause, the word before lasts up to the
    first token of the next. No word reaches further than 0.8 s from its tokens, and a word that would be left
    without sound keeps the model's times.
    """
    if len(words) == 0 or len(pauses.starts) == 0:
        return tuple(words)
    pairs = list(pairwise([_BEFORE, *words, _AFTER]))
    by_model = [(word.end_s, following.start_s) for word, following in pairs]
    fitted = [_between(word, following, pauses) for word, following in pairs]
    while silent := _silent_words(fitted, by_model, duration_s):
        for index in silent:
            fitted[index : index + 2] = by_model[index : index + 2]
    return tuple(
        replace(word, start_s=start_s, end_s=min(end_s, duration_s))
        for word, (_, start_s), (end_s, _) in zip(words, fitted[:-1], fitted[1:], strict=True)
    )


def _silent_words(
    fitted: Sequence[tuple[float, float]], by_model: Sequence[tuple[float, float]], duration_s: float
) -> list[int]:
    """Return the indices of fitted words that would end before they begin."""
    return [
        index
        for index, ((_, start_s), (end_s, _)) in enumerate(pairwise(fitted))
        if start_s >= min(end_s, duration_s) and fitted[index : index + 2] != by_model[index : index + 2]
    ]


def _between(word: Word, following: Word, pauses: Pauses) -> tuple[float, float]:
    """Return when a word ends and the next begins."""
    end_s, start_s = word.end_s, following.start_s
    first = max(
        np.searchsorted(pauses.ends, end_s - _NEAR_S, side="right"),
        np.searchsorted(pauses.starts, word.start_s, side="right"),
    )
    last = np.searchsorted(pauses.starts, start_s + _NEAR_S)
    if first >= last:
        return (start_s, start_s) if start_s - end_s <= _REACH_S else (end_s, start_s)
    ends, starts = pauses.starts[first:last], pauses.ends[first:last]
    ends, starts = ends[ends - end_s <= _REACH_S], starts[start_s - starts <= _REACH_S]
    return float(ends[-1]) if len(ends) else end_s, float(starts[-1]) if len(starts) else start_s


def _block_levels(samples: Samples, sample_rate_hz: int) -> NDArray[np.float64]:
    """Return the mean power of each block and its neighbours, (blocks,) float64 in dB of full scale."""
    edges = np.arange(0, len(samples), BLOCK_S * sample_rate_hz).round().astype(np.int64)
    if len(edges) == 0:
        return np.zeros(0)
    power = np.add.reduceat(np.square(samples, dtype=np.float64), edges) / (BLOCK_S * sample_rate_hz)
    padded = np.pad(power, _SMOOTHED_BLOCKS // 2, mode="edge")
    smoothed = np.convolve(padded, np.full(_SMOOTHED_BLOCKS, 1 / _SMOOTHED_BLOCKS), mode="valid")
    return as_db(smoothed)


def _without_short(mask: NDArray[np.bool_], *, keep_edges: bool = False) -> NDArray[np.bool_]:
    """Return the mask without runs shorter than ``_MIN_BLOCKS``; keep_edges: keep them at the edges."""
    mask = mask.copy()
    for start, end in find_runs(mask):
        at_edge = start == 0 or end == len(mask)
        if end - start < _MIN_BLOCKS and not (keep_edges and at_edge):
            mask[start:end] = False
    return mask
