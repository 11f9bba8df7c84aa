"""Clips of Speech Commands by speaker, and batches for training composed from them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from benchmarks.reference.augmentation import (
    SAMPLE_RATE_HZ,
    Samples,
    Surroundings,
    augment,
    coloured_noise,
    resample,
    warp_formants,
)
from benchmarks.reference.training import Batch
from benchmarks.reference.utterances import Utterance, keep, read_transcripts, read_utterances
from benchmarks.speech import COMMANDS_FOLDER, active_span, split_of

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
LABELS = (*COMMANDS, "unknown", "silence", "noise")
UNKNOWN, SILENCE, NOISE = (LABELS.index(label) for label in ("unknown", "silence", "noise"))
TEST_NOISES = ("noise4", "noise5", "friction1", "iPhone_rub")
"""Of the folder of noise, files that are in no training data."""
SENTENCE_FOLDERS = ("librispeech_train", "common_voice")
SENTENCE_EVERY = 4  # one utterance in so many is enough
KIND_SHARES = {"command": 0.62, "unknown": 0.24, "silence": 0.06, "noise": 0.08}
WARPS = (0.85, 0.92, 1.08, 1.17)
NOISY_SHARE, SNR_DB = 0.75, (0.0, 25.0)
"""How much of the speech has background noise, and its signal-to-noise ratio."""
SILENCE_DB, NOISE_DB, SPEECH_DB = (-100.0, -58.0), (-46.0, -8.0), (-40.0, -10.0)
"""Root mean square of each kind, relative to full scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A second of speech. samples: (samples,) float32 at 16 kHz; label: index into ``LABELS``."""

    samples: Samples
    word: str
    label: int
    speaker: int

    @property
    def split(self) -> str:
        """Train, dev or test, which follows from the speaker."""
        return split_of(self.speaker)


def read_clips(speech: Path, kept: Path) -> list[Clip]:
    """Read all of Speech Commands; decoded once, then mapped from the folder ``kept``."""
    with (speech / COMMANDS_FOLDER / "transcripts.tsv").open(encoding="utf-8") as file:
        speakers = {name: int(speaker) for name, _, speaker in csv.reader(file, delimiter="\t")}
    return [
        Clip(
            samples=one.floats(),
            word=one.text.lower(),
            label=LABELS.index(one.text.lower()) if one.text.lower() in COMMANDS else UNKNOWN,
            speaker=speakers[one.name],
        )
        for one in keep(kept / COMMANDS_FOLDER, partial(read_utterances, speech / COMMANDS_FOLDER))
    ]


def read_sentences(speech: Path) -> list[Utterance]:
    """Read sentences without any of the commands."""
    found = []
    for folder in SENTENCE_FOLDERS:
        texts = read_transcripts(speech / folder)
        free = [name for name, text in texts.items() if not {*COMMANDS} & {*text.lower().split()}]
        found += read_utterances(speech / folder, {name: texts[name] for name in free[::SENTENCE_EVERY]})
    return found


class KeywordBatches(Dataset[Batch]):
    """Batches of ``rows`` windows of a second; batch ``step`` depends only on the seed and the step."""

    def __init__(
        self,
        clips: Sequence[Clip],
        sentences: Sequence[Utterance],
        surroundings: Surroundings,
        *,
        seed: int,
        rows: int = 64,
        strength: float = 0.8,
    ) -> None:
        train = [clip for clip in clips if clip.split == "train"]
        self._by_label: Mapping[int, list[Clip]] = {
            label: [clip for clip in train if clip.label == label] for label in range(UNKNOWN + 1)
        }
        self._sentences = [one for one in sentences if len(one.samples) > 2 * SAMPLE_RATE_HZ]
        self._surroundings = surroundings
        self._seed = seed
        self._rows = rows
        self._strength = strength

    def __getitem__(self, step: int) -> Batch:
        """Compose and augment batch ``step``: ``inputs`` (rows, samples) float32, ``classes`` (rows,)."""
        rng = np.random.default_rng((self._seed, step))
        drawn = [self._row(SAMPLE_RATE_HZ, rng) for _ in range(self._rows)]
        samples = np.stack([samples for samples, _ in drawn])
        samples = augment(samples, self._surroundings, rng, self._strength)
        classes = torch.tensor([label for _, label in drawn])
        return {"inputs": torch.from_numpy(np.clip(samples, -1, 1)), "classes": classes}

    def _row(self, length: int, rng: np.random.Generator) -> tuple[Samples, int]:
        """Return one window and its label."""
        kind = rng.choice([*KIND_SHARES], p=[*KIND_SHARES.values()])
        if kind == "silence":
            if rng.random() < 0.2:
                return np.zeros(length, np.float32), SILENCE
            return _at_level(self._background(length, rng), SILENCE_DB, rng), SILENCE
        if kind == "noise":
            return _at_level(self._background(length, rng), NOISE_DB, rng), NOISE
        label = int(rng.integers(UNKNOWN)) if kind == "command" else UNKNOWN
        samples = self._unknown(length, rng) if label == UNKNOWN else self._word(label, length, rng)
        if rng.random() < NOISY_SHARE * self._strength:
            around = self._babble(length, rng) if rng.random() < 0.3 else self._background(length, rng)
            snr_db = rng.uniform(*SNR_DB)
            gain = float(samples.std()) / max(float(around.std()), 1e-6) * 10 ** (-snr_db / 20)
            samples = samples + np.float32(gain) * around
        return _at_level(samples, SPEECH_DB, rng), label

    def _word(self, label: int, length: int, rng: np.random.Generator) -> Samples:
        """Return a clip of a label at any place of the window, in another voice or at another speed."""
        clips = self._by_label[label]
        samples = clips[rng.integers(len(clips))].samples
        if rng.random() < 0.4:
            samples = warp_formants(samples, SAMPLE_RATE_HZ, WARPS[rng.integers(len(WARPS))])
        if rng.random() < 0.7:
            samples = resample(samples, SAMPLE_RATE_HZ * rng.uniform(0.85, 1.18), SAMPLE_RATE_HZ)
        return _place(samples, length, rng)

    def _unknown(self, length: int, rng: np.random.Generator) -> Samples:
        """Return another word, a piece of a sentence, a piece of a command, or a command backwards."""
        kind = rng.random()
        if kind < 0.55 or not self._sentences:
            return self._word(UNKNOWN, length, rng)
        if kind < 0.85:
            samples = self._sentences[rng.integers(len(self._sentences))].floats()
            begin = int(rng.integers(len(samples) - length)) if len(samples) > length else 0
            return np.resize(samples[begin : begin + length], length)
        command = self._word(int(rng.integers(UNKNOWN)), length, rng)
        if kind < 0.93:
            return command[::-1].copy()
        first, last = active_span(command)
        piece = command[first : first + int(0.4 * (last - first))]
        return _place(piece if rng.random() < 0.5 else piece[::-1], length, rng)

    def _babble(self, length: int, rng: np.random.Generator) -> Samples:
        """Return several sentences at once."""
        if not self._sentences:
            return self._background(length, rng)
        babble = np.zeros(length, np.float32)
        for _ in range(rng.integers(2, 6)):
            samples = self._sentences[rng.integers(len(self._sentences))].floats()
            begin = int(rng.integers(len(samples)))
            piece = np.resize(samples[begin : begin + length], length)
            babble += piece / np.float32(piece.std() + 1e-3)
        return babble

    def _background(self, length: int, rng: np.random.Generator) -> Samples:
        """Return a piece of one of the noises, or of coloured noise or a hum that swells and fades."""
        noises = self._surroundings.noises
        noise = noises[rng.integers(len(noises))]
        speed = 2 ** rng.uniform(-1, 1) if rng.random() < 0.6 else 1.0
        places = int(rng.integers(len(noise))) + (np.arange(length) * speed).astype(np.int64)
        found = noise[places % len(noise)]
        if rng.random() < 0.3:
            found = found[::-1]
        time_s = np.arange(length) / SAMPLE_RATE_HZ
        if rng.random() < 0.25:
            pitch_hz = rng.uniform(40, 800)
            found = sum(
                (rng.random() * np.sin(2 * np.pi * pitch_hz * n * time_s) for n in range(1, 8)), 0.1 * found
            )
        if rng.random() < 0.3:
            found = found * (1 + rng.uniform(0, 1) * np.sin(2 * np.pi * rng.uniform(0.2, 6) * time_s))
        return np.asarray(found, np.float32)


@cache
def _faint_noise() -> Samples:
    return coloured_noise(0.5, 2.0)


def _place(samples: Samples, length: int, rng: np.random.Generator) -> Samples:
    """Move speech to a random place of a window that holds it whole; faint noise fills the rest."""
    first, last = active_span(samples)
    first, last = max(0, first - 800), min(len(samples), last + 800)
    if last - first >= length:
        begin = first + (last - first - length) // 2
        return samples[begin : begin + length]
    room = length - (last - first)
    start = int(rng.integers(room + 1))
    floor = np.sqrt(np.square(samples[: len(samples) // 160 * 160].reshape(-1, 160)).mean(1).min())
    window = np.roll(_faint_noise(), int(rng.integers(len(_faint_noise()))))[:length]
    window = (window * (floor / window.std())).astype(np.float32)
    begin, end = max(0, first - start), min(len(samples), first - start + length)
    window[begin - (first - start) : end - (first - start)] = samples[begin:end]
    return window


def _at_level(samples: Samples, bounds_db: tuple[float, float], rng: np.random.Generator) -> Samples:
    """Scale to a random root mean square."""
    level = 10 ** (rng.uniform(*bounds_db) / 20)
    return np.asarray(samples * (level / max(float(samples.std()), 1e-6)), np.float32)
