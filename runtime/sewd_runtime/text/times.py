"""Where words begin and end in the sound: what the model's frames leave open, told by energy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Samples
from sewd_runtime.audio.loudness import LEAST_CONTRAST_DB, LOUD_PERCENT, QUIET_PERCENT, as_db, find_runs
from sewd_runtime.text.transcript import Segment, Transcript, Word

BLOCK_S = 0.01
_SMOOTHED_BLOCKS = 3
_LEAST_BLOCKS = 5
"""Shorter sounds are clicks, shorter pauses dips: 30 ms and what smoothing adds, less than any phone."""

_SPEECH_RANGE_DB = 30.0
"""Between the loud and the faint of speech (ANSI S3.5-1997, Speech Intelligibility Index)."""

_LOUD_SHARE = 0.4
"""Of the way from the quiet to the loud, where noise leaves less than speech's range above it."""

_NEAR_S = 0.02
_REACH_S = 0.8
"""A word's sound ends so long after its last token, at most, and begins so long before its first: a long
syllable and a model that is early."""

_BEFORE = Word(text="", start_s=-math.inf, end_s=-math.inf, confidence=1.0)
_AFTER = Word(text="", start_s=math.inf, end_s=math.inf, confidence=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """The pauses of a recording in order, in seconds: ``starts`` and ``ends``, (pauses,) float64."""

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]

    @classmethod
    def of(cls, quiet: NDArray[np.bool_]) -> "Pauses":
        """Find the runs of quiet blocks, (blocks,) bool, each of ``BLOCK_S``."""
        edges = np.array(find_runs(quiet), np.float64).reshape(-1, 2) / round(1 / BLOCK_S)
        return cls(starts=edges[:, 0], ends=edges[:, 1])


def find_quiet(samples: Samples, sample_rate_hz: int) -> NDArray[np.bool_]:
    """Tell which blocks of ``BLOCK_S`` are quiet, (blocks,) bool; none where quiet cannot be told from loud.

    Quiet is what lies 30 dB below the loud (98th percentile) or, in noise, below 0.4 of the way from
    quiet (5th percentile) to loud, in dB and over 30 ms; neither is ever shorter than 50 ms. These numbers
    were chosen on recordings of digits with and without noise, none of them in a test set.
    """
    energy_db = _energy_db(samples, sample_rate_hz)
    if len(energy_db) == 0:
        return np.zeros(0, np.bool_)
    quiet_db, loud_db = np.percentile(energy_db, (QUIET_PERCENT, LOUD_PERCENT))
    if loud_db - quiet_db < LEAST_CONTRAST_DB:
        return np.zeros(len(energy_db), np.bool_)
    threshold_db = max(loud_db - _SPEECH_RANGE_DB, quiet_db + _LOUD_SHARE * (loud_db - quiet_db))
    loud = _without_short(energy_db >= threshold_db)
    return _without_short(~loud, keep_edges=True)


def fit_transcript(transcript: Transcript, quiet: NDArray[np.bool_]) -> Transcript:
    """Return the transcript with the times of the sound for those of the model's frames.

    quiet: (blocks,) bool, of the whole recording, as ``find_quiet`` gives it.
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

    A CTC model says which word is where, but it may write a letter anywhere in the letter's sound or near it,
    most often in one frame. So a word begins where the last pause ends that meets the frames between the two
    words' tokens, and the word before ends where that pause begins. Sound without a pause is the word's
    before, up to the next one's first token. No word reaches further than 0.8 s from its tokens, and a word
    that would be left without sound keeps the model's times.
    """
    if len(words) == 0 or len(pauses.starts) == 0:
        return tuple(words)
    sides = list(pairwise([_BEFORE, *words, _AFTER]))
    given = [(word.end_s, following.start_s) for word, following in sides]
    fitted = [_between(word, following, pauses) for word, following in sides]
    while wrong := _silent(fitted, given, duration_s):
        for place in wrong:
            fitted[place : place + 2] = given[place : place + 2]
    return tuple(
        replace(word, start_s=start_s, end_s=min(end_s, duration_s))
        for word, (_, start_s), (end_s, _) in zip(words, fitted[:-1], fitted[1:], strict=True)
    )


def _silent(
    fitted: Sequence[tuple[float, float]], given: Sequence[tuple[float, float]], duration_s: float
) -> list[int]:
    """Return the places of the words that would end before they begin, though not by the model's times."""
    return [
        place
        for place, ((_, start_s), (end_s, _)) in enumerate(pairwise(fitted))
        if start_s >= min(end_s, duration_s) and fitted[place : place + 2] != given[place : place + 2]
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


def _energy_db(samples: Samples, sample_rate_hz: int) -> NDArray[np.float64]:
    """Return the mean power around each block, (blocks,) in dB."""
    edges = np.arange(0, len(samples), BLOCK_S * sample_rate_hz).round().astype(np.int64)
    if len(edges) == 0:
        return np.zeros(0)
    power = np.add.reduceat(np.square(samples, dtype=np.float64), edges) / (BLOCK_S * sample_rate_hz)
    padded = np.pad(power, _SMOOTHED_BLOCKS // 2, mode="edge")
    smoothed = np.convolve(padded, np.full(_SMOOTHED_BLOCKS, 1 / _SMOOTHED_BLOCKS), mode="valid")
    return as_db(smoothed)


def _without_short(mask: NDArray[np.bool_], *, keep_edges: bool = False) -> NDArray[np.bool_]:
    """Return the mask without its runs shorter than ``_LEAST_BLOCKS``; at the edges they may be kept."""
    mask = mask.copy()
    for start, end in find_runs(mask):
        at_edge = start == 0 or end == len(mask)
        if end - start < _LEAST_BLOCKS and not (keep_edges and at_edge):
            mask[start:end] = False
    return mask
