"""Times of words, by the model's frames and by the sound, against the places where recordings were joined."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.distortions import with_noise
from benchmarks.accuracy.sections import Section
from benchmarks.errors import match
from benchmarks.markdown import table
from benchmarks.reference.augmentation import SAMPLE_RATE_HZ
from benchmarks.speech import GAP_S, Joined, Span, join_strings, read_fsdd
from sewd_runtime import Recognizer, Transcript
from sewd_runtime.decode import Hypothesis, align_tokens, greedy, log_softmax
from sewd_runtime.text.frames import FrameClock
from sewd_runtime.text.spelling import Speller

BAR_MS = 60
SHUFFLES = 4

HEAD = f"""\
Recordings of single digits, the test split of four speakers, joined {SHUFFLES} times in random order, three
to six at a time, with digital silence between them. The model was trained on other recordings of these
speakers. A word truly begins and ends with the first and last 10 ms of its recording within 26 dB of the
loudest. Errors in ms, start / end: the median and 90th percentile of the absolute error, the signed median
(below 0: early), and the share within {BAR_MS} ms, the target for the median. Only words that are right are
compared.
"""
FOOT = """
The true times are detected by energy, as ours are. Against the edges of the files, which hold a little
silence on either side, the medians of `transcribed` in the first set are {:.0f} / {:.0f} ms. Without pauses
between words, and in noise about as loud as quiet speech, energy says little. The thresholds were chosen on
recordings 5 to 8 of each digit and speaker (5 is the dev set; the model was trained on 6 to 8)."""


def by_frames(recognizer: Recognizer, spoken: Joined, *, forced: bool) -> Transcript:
    """Return the words with the times of the model's frames: of the best path, or of the known text's."""
    manifest, vocabulary = recognizer.manifest, recognizer.vocabulary
    [logits] = recognizer.logits([spoken.samples])
    log_probs = log_softmax(logits)
    path: Hypothesis
    if forced:
        token_ids = Speller(vocabulary).encode(spoken.text)
        path = align_tokens(log_probs, token_ids, blank_id=vocabulary.blank_id)
    else:
        [path] = greedy(log_probs[None], np.array([len(log_probs)]), vocabulary.blank_id)
    clock = FrameClock(stride=manifest.stride, sample_rate_hz=manifest.sample_rate_hz)
    duration_s = len(spoken.samples) / SAMPLE_RATE_HZ
    return Transcript.from_hypothesis(path, vocabulary=vocabulary, clock=clock, duration_s=duration_s)


Times = tuple[float, float]
Method = Callable[[Recognizer, Joined], Transcript]
METHODS: Mapping[str, Method] = {
    "transcribed, the model's frames": lambda model, spoken: by_frames(model, spoken, forced=False),
    "transcribed": lambda model, spoken: model.transcribe(spoken.samples),
    "aligned, the model's frames": lambda model, spoken: by_frames(model, spoken, forced=True),
    "aligned": lambda model, spoken: model.align(spoken.samples, spoken.text),
}


def measure(speech: Path) -> Mapping[str, Any]:
    """Measure every method on strings of the test split: with pauses, without, and in noise."""
    recognizer = Recognizer.load(threads=1)
    recordings = read_fsdd(speech, "test")
    rng = np.random.default_rng(0)
    first = "pauses of 50 to 250 ms"
    sets = {first: list(join_strings(recordings, GAP_S, rounds=SHUFFLES))}
    for snr_db in (20, 10):
        sets[f"these, pink noise at {snr_db} dB"] = [
            replace(one, samples=with_noise(one.samples, snr_db, rng)) for one in sets[first]
        ]
    sets["no pauses"] = list(join_strings(recordings, (0.0, 0.0), rounds=SHUFFLES))
    return {name: _measure_set(recognizer, strings) for name, strings in sets.items()}


def _measure_set(recognizer: Recognizer, strings: Sequence[Joined]) -> dict[str, Any]:
    rows = {}
    for name, method in METHODS.items():
        found, sounds, files = (
            np.array(column) for column in zip(*_pair(recognizer, method, strings), strict=True)
        )
        rows[name] = {
            "words": len(found),
            "start": _errors(found[:, 0] - sounds[:, 0]),
            "end": _errors(found[:, 1] - sounds[:, 1]),
            "file_start": _errors(found[:, 0] - files[:, 0]),
            "file_end": _errors(found[:, 1] - files[:, 1]),
        }
    return {"strings": len(strings), "words": sum(len(one.spans) for one in strings), "rows": rows}


def _pair(
    recognizer: Recognizer, method: Method, strings: Sequence[Joined]
) -> Iterator[tuple[Times, Times, Times]]:
    """Yield begin and end of each word that is right, of its sound, and of its file, in seconds."""
    for one in strings:
        words = method(recognizer, one).words
        for place, own in match(one.text.split(), [word.text for word in words]):
            word = words[own]
            yield (word.start_s, word.end_s), _seconds(one.sounds[place]), _seconds(one.spans[place])


def _seconds(span: Span) -> Times:
    return span[0] / SAMPLE_RATE_HZ, span[1] / SAMPLE_RATE_HZ


def _errors(off_s: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    """Sum up errors in seconds; late is above 0."""
    off_ms = off_s * 1000
    return {
        "median_ms": round(float(np.median(np.abs(off_ms))), 1),
        "p90_ms": round(float(np.percentile(np.abs(off_ms), 90)), 1),
        "bias_ms": round(float(np.median(off_ms)), 1),
        "within_bar": round(float(np.mean(np.abs(off_ms) <= BAR_MS)), 4),
    }


def lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the tables."""
    yield HEAD
    head = ("strings", "times", "words", "median", "90 %", "signed", "within")
    yield from table(head, _rows(figures))
    edges = next(iter(figures.values()))["rows"]["transcribed"]
    yield FOOT.format(edges["file_start"]["median_ms"], edges["file_end"]["median_ms"])


def _rows(figures: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, found in figures.items():
        for method, row in found["rows"].items():
            both = (row["start"], row["end"])
            cells = [
                " / ".join(f"{one[key]:.0f}" for one in both) for key in ("median_ms", "p90_ms", "bias_ms")
            ]
            within = " / ".join(f"{one['within_bar']:.0%}" for one in both)
            yield [name, method, f"{row['words']} of {found['words']}", *cells, within]


SECTION = Section(name="times", title="Times of words", measure=measure, lines=lines)
