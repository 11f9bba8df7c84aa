"""When words begin and end: by the model's frames and by the sound, against where recordings were joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import numpy as np

from benchmarks.accuracy.sections import Section
from benchmarks.reference.augmentation import SAMPLE_RATE_HZ, Samples, coloured_noise, resample
from benchmarks.reference.digits import SPEAKERS, WORDS, Recording, active_span, read_fsdd
from sewd_runtime import Recognizer, Transcript, Word
from sewd_runtime.decode import Hypothesis, align_tokens, greedy, log_softmax
from sewd_runtime.text.frames import FrameClock

BAR_MS = 60
SHUFFLES = 4
PAUSES_S = (0.05, 0.25)
Span = tuple[float, float]

HEAD = f"""\
Recordings of single digits, the test split of four speakers, joined {SHUFFLES} times over, three to six at a
time, with digital silence between them. The model heard other recordings of these speakers in training. The
true time of a word is its recording's first and last 10 ms within 26 dB of its loudest. Errors in ms, start /
end: the median and the 90th percentile of their magnitude, the signed median (below 0: early), and the share
within {BAR_MS} ms, the bar for the median. Words that were not transcribed right have no time to compare.
"""
FOOT = """
The true times tell sound by energy, as ours do. Another truth for the first set are the edges of the files,
which hold a little quiet on either side: against them the medians of `transcribed` are {:.0f} / {:.0f} ms.
Where there is no pause between words, or noise about as loud as the faint of speech, energy tells little.
The thresholds were chosen on recordings 5 to 8 of each digit and speaker (5 is dev; the model was trained on
6 to 8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """Joined recordings: ``samples`` (samples,) float32, and of each word the seconds of sound and file."""

    samples: Samples
    words: tuple[str, ...]
    sounds: tuple[Span, ...]
    files: tuple[Span, ...]


def join(recordings: Sequence[Recording], pauses_s: Span, rng: np.random.Generator) -> Spoken:
    """Join recordings of one word with digital silence before, between and after them."""
    parts, sounds, files, place = [], [], [], 0
    for recording in recordings:
        parts.append(_silence(pauses_s, rng))
        begin = place + len(parts[-1])
        parts.append(resample(recording.samples, recording.sample_rate_hz, SAMPLE_RATE_HZ))
        place = begin + len(parts[-1])
        sounds.append(_seconds(*(begin + edge for edge in active_span(parts[-1]))))
        files.append(_seconds(begin, place))
    words = tuple(WORDS[recording.digits[0]] for recording in recordings)
    samples = np.concatenate([*parts, _silence(pauses_s, rng)])
    return Spoken(samples=samples, words=words, sounds=tuple(sounds), files=tuple(files))


def strings(recordings: Sequence[Recording], pauses_s: Span) -> Iterator[Spoken]:
    """Yield each speaker's recordings, shuffled ``SHUFFLES`` times and joined three to six at a time."""
    rng = np.random.default_rng(0)
    for speaker in SPEAKERS:
        own = [recording for recording in recordings if recording.speaker == speaker]
        for _ in range(SHUFFLES):
            order = [own[index] for index in rng.permutation(len(own))]
            while len(order) >= 3:
                count = int(rng.integers(3, 7))
                yield join(order[:count], pauses_s, rng)
                order = order[count:]


def with_noise(samples: Samples, snr_db: float, rng: np.random.Generator) -> Samples:
    """Add pink noise, so many dB below the mean power of all samples."""
    noise = np.roll(coloured_noise(1.0, seconds=30.0), int(rng.integers(1 << 30)))[: len(samples)]
    return np.asarray(samples + noise * (samples.std() / noise.std() * 10 ** (-snr_db / 20)), np.float32)


def _silence(pauses_s: Span, rng: np.random.Generator) -> Samples:
    return np.zeros(int(rng.uniform(*pauses_s) * SAMPLE_RATE_HZ), np.float32)


def _seconds(first: int, last: int) -> Span:
    return first / SAMPLE_RATE_HZ, last / SAMPLE_RATE_HZ


def by_frames(recognizer: Recognizer, spoken: Spoken, *, forced: bool) -> Transcript:
    """Return the words with the times of the model's frames: of the best path, or of the known text's."""
    manifest, vocabulary = recognizer.manifest, recognizer.vocabulary
    [logits] = recognizer.logits([spoken.samples])
    log_probs = log_softmax(logits)
    path: Hypothesis
    if forced:
        token_ids = vocabulary.encode(" ".join(spoken.words))
        path = align_tokens(log_probs, token_ids, blank_id=vocabulary.blank_id)
    else:
        [path] = greedy(log_probs[None], np.array([len(log_probs)]), vocabulary.blank_id)
    clock = FrameClock(stride=manifest.stride, sample_rate_hz=manifest.sample_rate_hz)
    duration_s = len(spoken.samples) / SAMPLE_RATE_HZ
    return Transcript.from_hypothesis(path, vocabulary=vocabulary, clock=clock, duration_s=duration_s)


METHODS = {
    "transcribed, the model's frames": lambda model, spoken: by_frames(model, spoken, forced=False),
    "transcribed": lambda model, spoken: model.transcribe(spoken.samples),
    "aligned, the model's frames": lambda model, spoken: by_frames(model, spoken, forced=True),
    "aligned": lambda model, spoken: model.align(spoken.samples, " ".join(spoken.words)),
}


def matched(words: Sequence[Word], truth: Sequence[str]) -> Iterator[tuple[Word, int]]:
    """Yield the words that are right, each with the place of the true one."""
    if not words:
        return
    found = jiwer.process_words(" ".join(truth), " ".join(word.text for word in words))
    for chunk in found.alignments[0]:
        if chunk.type == "equal":
            for offset in range(chunk.ref_end_idx - chunk.ref_start_idx):
                yield words[chunk.hyp_start_idx + offset], chunk.ref_start_idx + offset


def measure(speech: Path) -> Mapping[str, Any]:
    """Measure every method on strings of the test split: with pauses, with none, and in noise."""
    recognizer = Recognizer.load(threads=1)
    recordings = [one for one in read_fsdd(speech / "digits_fsdd") if one.split == "test"]
    rng = np.random.default_rng(0)
    sets = {"pauses of 50 to 250 ms": list(strings(recordings, PAUSES_S))}
    for snr_db in (20, 10):
        sets[f"these, pink noise at {snr_db} dB"] = [
            Spoken(
                samples=with_noise(one.samples, snr_db, rng),
                words=one.words,
                sounds=one.sounds,
                files=one.files,
            )
            for one in sets["pauses of 50 to 250 ms"]
        ]
    sets["no pauses"] = list(strings(recordings, (0.0, 0.0)))
    return {name: _measure_set(recognizer, spoken) for name, spoken in sets.items()}


def _measure_set(recognizer: Recognizer, strings_: Sequence[Spoken]) -> dict[str, Any]:
    rows = {}
    for name, method in METHODS.items():
        pairs = [
            ((word.start_s, word.end_s), one.sounds[place], one.files[place])
            for one in strings_
            for word, place in matched(method(recognizer, one).words, one.words)
        ]
        found, sounds, files = (np.array(column) for column in zip(*pairs, strict=True))
        rows[name] = {
            "words": len(pairs),
            "start": _errors(found[:, 0] - sounds[:, 0]),
            "end": _errors(found[:, 1] - sounds[:, 1]),
            "file_start": _errors(found[:, 0] - files[:, 0]),
            "file_end": _errors(found[:, 1] - files[:, 1]),
        }
    return {"strings": len(strings_), "words": sum(len(one.words) for one in strings_), "rows": rows}


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
    yield "| strings | times | words | median | 90 % | signed | within |"
    yield "|---|---|---|---|---|---|---|"
    for name, found in figures.items():
        for method, row in found["rows"].items():
            both = [row["start"], row["end"]]
            yield (
                f"| {name} | {method} | {row['words']} of {found['words']} | "
                + " | ".join(
                    " / ".join(f"{one[key]:.0f}" for one in both)
                    for key in ("median_ms", "p90_ms", "bias_ms")
                )
                + " | "
                + " / ".join(f"{one['within_bar']:.0%}" for one in both)
                + " |"
            )
    edges = next(iter(figures.values()))["rows"]["transcribed"]
    yield FOOT.format(edges["file_start"]["median_ms"], edges["file_end"]["median_ms"])


SECTION = Section(name="times", title="Times of words", measure=measure, lines=lines)
