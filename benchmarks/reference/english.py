"""English with transcripts, what the teacher says of it, and batches of both."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from benchmarks.reference.augmentation import (
    SAMPLE_RATE_HZ,
    Samples,
    Surroundings,
    augment,
    normalise,
    resample,
)
from benchmarks.reference.layout import RECEPTIVE_FIELD, STRIDE, count_frames, spell
from benchmarks.reference.training import IGNORED, Batch, join_targets

VALIDATION_SPEAKERS = ("32", "3242", "1673", "2078", "1272", "2086")
"""Two of Mini LibriSpeech's and the last four of dev-clean's."""
BOOKS = ("gutenberg_1342.txt", "gutenberg_1661.txt")
GENTLE_SHARE = 0.3  # of the batches are nearly undistorted
COMPONENTS = 64  # of the teacher's features
UNITS = 200  # that the features form
UNITS_PER_DEVIATION = 32  # of the teacher's 8-bit components


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One recording: ``samples`` ``(samples,)`` int16 at 16 kHz, its speaker and its words."""

    name: str
    samples: NDArray[np.int16]
    text: str

    @property
    def speaker(self) -> str:
        """What LibriSpeech's names begin with."""
        return speaker_of(self.name)

    def floats(self) -> Samples:
        """The samples in [-1, 1]: ``(samples,)`` float32."""
        return self.samples.astype(np.float32) / np.float32(32768)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What the teacher says of each frame of 20 ms."""

    units: NDArray[np.uint8]
    """(frames,): the cluster that the features fall in."""
    features: NDArray[np.int8]
    """(frames, components): 32 a standard deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """The file of ``teach_english.py``: lessons by name of the recording."""

    by_name: dict[str, Lesson]
    num_units: int
    weights: NDArray[np.float32]
    """(components,): share of the loss, as the components' deviation, with sum 1."""

    @classmethod
    def none(cls) -> Lessons:
        """No lessons, in the shape of a file's: a run may go on with a file's."""
        weights = np.full(COMPONENTS, 1 / COMPONENTS, np.float32)
        return cls(by_name={}, num_units=UNITS, weights=weights)

    @classmethod
    def read(cls, path: Path) -> Lessons:
        """Read the file."""
        content = np.load(path)
        ends = np.cumsum(content["frames"])
        parts = zip(
            content["names"],
            np.split(content["units"], ends[:-1]),
            np.split(content["features"], ends[:-1]),
            strict=True,
        )
        deviations = content["deviations"]
        return cls(
            by_name={str(name): Lesson(units=one, features=two) for name, one, two in parts},
            num_units=int(content["units"].max()) + 1,
            weights=(deviations / deviations.sum()).astype(np.float32),
        )


def read_transcripts(folder: Path) -> dict[str, str]:
    """Read ``transcripts.tsv`` of a corpus: name to text."""
    with (folder / "transcripts.tsv").open(encoding="utf-8") as file:
        return {name: text for name, text, *_ in csv.reader(file, delimiter="\t")}


def read_book(path: Path) -> str:
    """Read one of Project Gutenberg's texts: what stands between its two markers."""
    text = path.read_text(encoding="utf-8-sig")
    begin, end = text.index("*** START OF"), text.index("*** END OF")
    return text[text.index("\n", begin) : end]


def read_books(folder: Path) -> list[str]:
    """Read the two books that sentences to be spoken and language models are taken from."""
    return [read_book(folder / name) for name in BOOKS]


def is_held_out(name: str) -> bool:
    """Tell whether a recording is of a speaker for validation."""
    return speaker_of(name) in VALIDATION_SPEAKERS


def speaker_of(name: str) -> str:
    """What LibriSpeech's names begin with."""
    return name.partition("-")[0]


def find_recordings(folder: Path) -> dict[str, Path]:
    """Each recording's name to its file, whatever the format."""
    return {path.stem: path for path in sorted(folder.iterdir())}


def read_utterances(
    folder: Path,
    *,
    only: Callable[[str], bool] = lambda name: True,
    transcripts: Mapping[str, str] | None = None,
) -> list[Utterance]:
    """Read a corpus, at 16 kHz.

    only: by name, which recordings; transcripts: name to text, else those of ``transcripts.tsv``.
    """
    recordings = find_recordings(folder)
    transcripts = read_transcripts(folder) if transcripts is None else transcripts
    return [
        Utterance(name=name, samples=_read_int16(recordings[name]), text=text)
        for name, text in transcripts.items()
        if only(name)
    ]


def _read_int16(path: Path) -> NDArray[np.int16]:
    samples, rate_hz = soundfile.read(path, dtype="int16")
    if rate_hz == SAMPLE_RATE_HZ:  # soxr would add dither
        return np.asarray(samples)
    return np.asarray(soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ), np.int16)


class Pool:
    """Utterances by length, of which a batch takes neighbours."""

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        taught = [one for one in utterances if one.speaker not in VALIDATION_SPEAKERS]
        self.utterances = sorted(taught, key=lambda one: len(one.samples))
        self._ends_s = np.cumsum([len(one.samples) / SAMPLE_RATE_HZ for one in self.utterances])

    def draw(self, share: float, seconds: float, rng: np.random.Generator) -> list[Utterance]:
        """Neighbours of ``seconds`` in all, among the shortest ``share`` of the audio."""
        at = rng.uniform(0, max(0.0, share * self._ends_s[-1] - seconds))
        first, last = np.searchsorted(self._ends_s, (at, at + seconds))
        return self.utterances[first : max(last, first + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How many of the batches are of synthetic speech, and the step from which none is."""

    synthetic_share: float = 0.5
    real_from: float = math.inf

    def is_synthetic(self, step: int, rng: np.random.Generator) -> bool:
        """Draw what a batch is made of."""
        return bool(rng.random() < self.synthetic_share) and step < self.real_from


class EnglishBatches(Dataset[Batch]):
    """Batches of about ``batch_s`` of audio; batch ``step`` depends on the seed and the step alone.

    The shortest utterances come first: the longest that may occur grows over ``curriculum_steps``, as
    distortions do. A batch holds neighbours in length, at about one speed, real or synthetic as ``mix`` has
    it; a row that ends early is silent from there. Without a text a row has no part in CTC, without a lesson
    none in what the teacher says.
    """

    def __init__(
        self,
        real: Sequence[Utterance],
        lessons: Lessons,
        surroundings: Surroundings,
        *,
        synthetic: Sequence[Utterance] = (),
        mix: Mix | None = None,
        seed: int,
        batch_s: float = 48.0,
        curriculum_steps: int = 500,
        strength: float = 0.5,
    ) -> None:
        self._real, self._synthetic = Pool(real), Pool(synthetic)
        self._mix = mix or Mix()
        self._lessons = lessons
        self._surroundings = surroundings
        self._seed = seed
        self._batch_s = batch_s
        self._curriculum_steps = curriculum_steps
        self._strength = strength

    def __getitem__(self, step: int) -> Batch:
        """Compose batch ``step``: samples (batch, samples) float32, each row's frames, its targets."""
        rng = np.random.default_rng((self._seed, step))
        progress = min(1.0, step / self._curriculum_steps) if self._curriculum_steps else 1.0
        strength = self._strength * progress * (0.2 if rng.random() < GENTLE_SHARE else 1.0)
        share = 0.3 + 0.7 * progress
        is_synthetic = bool(self._synthetic.utterances) and self._mix.is_synthetic(step, rng)
        chosen = (self._synthetic if is_synthetic else self._real).draw(share, self._batch_s, rng)
        speeds = self._draw_speeds(share, len(chosen), rng)
        rows = [
            resample(one.floats(), SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ)
            for one, speed in zip(chosen, speeds, strict=True)
        ]
        samples = np.zeros((len(rows), max(map(len, rows))), np.float32)
        for place, row in enumerate(rows):
            samples[place, : len(row)] = row * np.float32(0.1 / (row.std() + 1e-6))
        samples = normalise(augment(samples, self._surroundings, rng, strength))
        lengths = [count_frames(len(row)) for row in rows]
        return {
            "samples": torch.from_numpy(samples),
            "sample_lengths": torch.tensor([len(row) for row in rows]),
            "frame_lengths": torch.tensor(lengths),
            **self._teach(chosen, speeds, lengths),
            "transcribed": torch.tensor([bool(one.text) for one in chosen]),
            **join_targets([spell(one.text.split()) for one in chosen]),
        }

    @staticmethod
    def _draw_speeds(share: float, count: int, rng: np.random.Generator) -> list[float]:
        """Nearly one speed for all rows, so that they stay alike in length, from 0.85 to 1.15."""
        common = rng.uniform(-0.12, 0.12)
        return [float(1 + share * (common + rng.uniform(-0.03, 0.03))) for _ in range(count)]

    def _teach(self, chosen: list[Utterance], speeds: list[float], lengths: list[int]) -> Batch:
        """The teacher's frames at the rows' speeds: (batch, frames) and (batch, frames, components)."""
        units = np.full((len(chosen), max(lengths)), IGNORED, np.int64)
        features = np.zeros((len(chosen), max(lengths), len(self._lessons.weights)), np.int8)
        for place, (one, speed, length) in enumerate(zip(chosen, speeds, lengths, strict=True)):
            lesson = self._lessons.by_name.get(one.name)
            if lesson is None:
                continue
            middle = (np.arange(length) * STRIDE + RECEPTIVE_FIELD / 2) * speed
            frames = np.minimum((middle / STRIDE).astype(np.int64), len(lesson.units) - 1)
            units[place, :length] = lesson.units[frames]
            features[place, :length] = lesson.features[frames]
        return {"units": torch.from_numpy(units), "features": torch.from_numpy(features)}
