"""The recordings that models are trained and measured on, and utterances joined from them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.reference.augmentation import SAMPLE_RATE_HZ, Samples, read_mono, resample
from benchmarks.results import ROOT

Utterances = list[tuple[Samples, str]]
"""Samples (samples,) float32 at 16 kHz, and what is said."""

Span = tuple[int, int]
"""First sample, and the one behind the last."""

Pause = Callable[[], Samples]
"""Returns the next pause, its length drawn at random."""

WORDS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
SPEAKERS = ("george", "jackson", "lucas", "nicolas")
TEST_INDICES = range(5)  # the data set's own test split
DEV_INDEX = 5  # ours, so that settings are never chosen on the test split
KOKORO_HELD_OUT_EVERY = 20
COMMANDS_FOLDER = "speech_commands"
TEST_REMAINDERS, DEV_REMAINDERS = (0, 6), (3,)  # of the number of a speaker of Speech Commands divided by 12
PACKAGED = ROOT / "export/sewd_export/speech"
GAP_S = (0.05, 0.25)
"""Shortest and longest silence between the digits of a string."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One file: ``samples`` (samples,) float32 at its own rate, and the digits spoken in it."""

    name: str
    speaker: str
    digits: tuple[int, ...]
    split: str
    samples: Samples
    sample_rate_hz: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate_hz

    @property
    def utterance(self) -> tuple[Samples, str]:
        """The samples at 16 kHz, and the text."""
        samples = resample(self.samples, self.sample_rate_hz, SAMPLE_RATE_HZ)
        return samples, " ".join(WORDS[digit] for digit in self.digits)


def read_fsdd(speech: Path, split: str | None = None) -> list[Recording]:
    """Read ``digits_fsdd``, of all splits or of one: test, dev or train, which follow from a file's index."""
    recordings = []
    for path in sorted((speech / "digits_fsdd").glob("*.wav")):
        digit, speaker, index = path.stem.split("_")
        own = "test" if int(index) in TEST_INDICES else "dev" if int(index) == DEV_INDEX else "train"
        if split in (None, own):
            recordings.append(_read(path, speaker=speaker, digits=(int(digit),), split=own))
    return recordings


def read_kokoro(speech: Path, split: str | None = None) -> list[Recording]:
    """Read the synthetic strings of ``digits_kokoro``: test is every twentieth, train the others."""
    recordings = []
    folder = speech / "digits_kokoro"
    with (folder / "transcripts.tsv").open(encoding="utf-8") as file:
        for place, (name, text, voice) in enumerate(csv.reader(file, delimiter="\t")):
            own = "test" if place % KOKORO_HELD_OUT_EVERY == 0 else "train"
            digits = tuple(WORDS.index(word) for word in text.split())
            if split in (None, own):
                recordings.append(_read(folder / f"{name}.opus", speaker=voice, digits=digits, split=own))
    return recordings


def split_of(speaker: int) -> str:
    """Return the split of a speaker of Speech Commands by number: test, dev or train."""
    remainder = speaker % 12
    return "test" if remainder in TEST_REMAINDERS else "dev" if remainder in DEV_REMAINDERS else "train"


def read_commands(speech: Path, split: str | None = None) -> list[Recording]:
    """Read the digits of Speech Commands, one a file, of speakers of all splits or of one."""
    recordings = []
    folder = speech / COMMANDS_FOLDER
    with (folder / "transcripts.tsv").open(encoding="utf-8") as file:
        for name, word, number in csv.reader(file, delimiter="\t"):
            own = split_of(int(number))
            if word in WORDS and split in (None, own):
                speaker, digits = f"{COMMANDS_FOLDER}-{number}", (WORDS.index(word),)
                recordings.append(_read(folder / f"{name}.opus", speaker=speaker, digits=digits, split=own))
    return recordings


def _read(path: Path, *, speaker: str, digits: tuple[int, ...], split: str) -> Recording:
    samples, rate_hz = soundfile.read(path, dtype="float32")
    return Recording(
        name=path.stem, speaker=speaker, digits=digits, split=split, samples=samples, sample_rate_hz=rate_hz
    )


def read_packaged() -> dict[str, tuple[Samples, str]]:
    """Return the exporter's own clips by name: samples at 16 kHz, and what is said."""
    with (PACKAGED / "transcripts.tsv").open(encoding="utf-8") as file:
        rows = csv.reader(file, delimiter="\t")
        return {Path(name).stem: (read_mono(PACKAGED / name), text) for name, text in rows}


def read_test_sets(speech: Path, held_out_speaker: str | None = None) -> dict[str, Utterances]:
    """Read every test set of digits, the held-out strings of synthetic voices among them.

    held_out_speaker: of whom nothing was trained, so that all recordings are a test.
    """
    known = [one for one in read_fsdd(speech, "test") if one.speaker != held_out_speaker]
    sets = {"known_singles": singles(known), "known_strings": strings(known, rounds=4)}
    for speaker in SPEAKERS:
        if speaker == held_out_speaker:
            unheard = [one for one in read_fsdd(speech) if one.speaker == speaker]
            sets["unheard_singles"], sets["unheard_strings"] = singles(unheard), strings(unheard)
        else:
            own = [one for one in known if one.speaker == speaker]
            sets[f"known_strings_{speaker}"] = strings(own, rounds=4)
    return {**sets, "synthetic_strings": singles(read_kokoro(speech, "test"))}


def singles(recordings: Iterable[Recording]) -> Utterances:
    """Return each recording as it is, at 16 kHz."""
    return [recording.utterance for recording in recordings]


def strings(recordings: Sequence[Recording], *, seed: int = 0, rounds: int = 1) -> Utterances:
    """Return strings of each speaker's recordings, shuffled ``rounds`` times."""
    return [(one.samples, one.text) for one in join_strings(recordings, GAP_S, seed=seed, rounds=rounds)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Utterances in one recording.

    samples: (samples,) float32. spans: the place of each utterance. sounds: the part of each that is loud.
    """

    samples: Samples
    text: str
    spans: tuple[Span, ...]
    sounds: tuple[Span, ...]


def join(pieces: Iterable[tuple[Samples, str]], pause: Pause, *, leading: bool = True) -> Joined:
    """Join utterances with a pause behind each, and with ``leading`` one before the first."""
    parts = [pause()] if leading else []
    place = sum(map(len, parts))
    texts, spans, sounds = [], [], []
    for samples, text in pieces:
        first, last = active_span(samples)
        parts += [samples, pause()]
        texts.append(text)
        spans.append((place, place + len(samples)))
        sounds.append((place + first, place + last))
        place += len(samples) + len(parts[-1])
    return Joined(
        samples=np.concatenate(parts), text=" ".join(texts), spans=tuple(spans), sounds=tuple(sounds)
    )


def silence(rng: np.random.Generator, bounds_s: tuple[float, float]) -> Pause:
    """Return pauses of digital silence, between these lengths."""
    return lambda: np.zeros(int(rng.uniform(*bounds_s) * SAMPLE_RATE_HZ), np.float32)


def join_strings(
    recordings: Sequence[Recording], pauses_s: tuple[float, float], *, seed: int = 0, rounds: int = 1
) -> Iterator[Joined]:
    """Yield each speaker's recordings, shuffled ``rounds`` times and joined three to six at a time."""
    rng = np.random.default_rng(seed)
    for speaker in sorted({recording.speaker for recording in recordings}):
        own = [recording for recording in recordings if recording.speaker == speaker]
        for _ in range(rounds):
            for group in shuffle(own, rng):
                yield join(singles(group), silence(rng, pauses_s))


def shuffle(recordings: Sequence[Recording], rng: np.random.Generator) -> Iterator[list[Recording]]:
    """Shuffle recordings at once, and return an iterator over groups of three to six of them."""
    order = [recordings[place] for place in rng.permutation(len(recordings))]

    def take() -> Iterator[list[Recording]]:
        first = 0
        while len(order) - first >= 3:
            count = int(rng.integers(3, 7))
            yield order[first : first + count]
            first += count

    return take()


def active_span(samples: Samples) -> Span:
    """Return the span from the first to the last block of 10 ms that is within 26 dB of the loudest."""
    block = SAMPLE_RATE_HZ // 100
    count = max(1, len(samples) // block)
    level = np.square(samples[: count * block].reshape(count, -1)).mean(axis=1)
    loud = np.flatnonzero(level >= 0.0025 * level.max())
    return int(loud[0]) * block, min(len(samples), (int(loud[-1]) + 1) * block)
