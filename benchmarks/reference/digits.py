"""Batches of digit strings for training, composed from recordings."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.reference.augmentation import (
    SAMPLE_RATE_HZ,
    Samples,
    Surroundings,
    augment,
    normalise,
    resample,
    warp_formants,
)
from benchmarks.reference.layout import RECEPTIVE_FIELD, STRIDE, count_frames, spell
from benchmarks.speech import COMMANDS_FOLDER, SPEAKERS, WORDS, Recording, active_span

SYNTHETIC = "synthetic"
SILENCE = len(WORDS)  # class of the auxiliary labels
IGNORED = -100  # no loss there, as in torch
SHORT_S = 0.7
GENTLE_SHARE = 0.3  # of the batches are nearly undistorted; otherwise the model underfits clean recordings
WARPS = (1.0, 0.82, 0.88, 0.94, 1.07, 1.14, 1.22)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """``samples``: (batch, samples) float32; ``labels``: (batch, frames) int64."""

    samples: Samples
    labels: NDArray[np.int64]
    """Digit or ``SILENCE`` per frame, or ``IGNORED``."""
    targets: list[list[int]]
    """Token ids per row."""


@dataclass(slots=True)
class _Row:
    samples: Samples
    labels: NDArray[np.int64]
    digits: list[int] = field(default_factory=list)

    def place(self, piece: Samples, digits: tuple[int, ...], start: int) -> None:
        """Add ``piece`` at ``start`` and label its frames: the digit, or ``IGNORED`` for several."""
        self.samples[start : start + len(piece)] += piece
        first, last = (start + edge for edge in active_span(piece))
        centre = np.arange(len(self.labels)) * STRIDE + RECEPTIVE_FIELD // 2
        inside = (centre >= first) & (centre < last)
        self.labels[inside] = digits[0] if len(digits) == 1 else IGNORED
        self.digits.extend(digits)


class DigitBatches:
    """Batches of strings of equal length; batch ``step`` depends only on the seed and the step.

    Distortions and synthetic voices, whose frames are not labelled, increase over ``gentle_steps`` up to
    ``strength`` (0 to 1).
    """

    def __init__(
        self,
        recordings: list[Recording],
        surroundings: Surroundings,
        *,
        seed: int,
        batch_s: float = 24.0,
        gentle_steps: int = 1500,
        strength: float = 0.7,
        synthetic_share: float = 0.45,
    ) -> None:
        training = [recording for recording in recordings if recording.split == "train"]
        if not training:
            raise ValueError(f"none of {len(recordings)} recordings is of the training split")
        self._by_speaker: dict[str, list[Recording]] = {}
        for recording in training:
            voice = voice_of(recording)
            if voice != SYNTHETIC:
                # THREE twice as often: its double letter needs a blank between, which CTC learns last.
                copies = 2 if recording.digits == (3,) else 1
                self._by_speaker.setdefault(voice, []).extend([recording] * copies)
        self._synthetic = [recording for recording in training if voice_of(recording) == SYNTHETIC]
        self._surroundings = surroundings
        self._seed = seed
        self._batch_s = batch_s
        self._gentle_steps = gentle_steps
        self._strength = strength
        self._synthetic_share = synthetic_share
        self._warped: dict[tuple[str, float], Samples] = {}

    def __getitem__(self, step: int) -> Batch:
        """Compose and augment batch ``step``."""
        rng = np.random.default_rng((self._seed, step))
        length_s = rng.uniform(0.22, 1.0) if rng.random() < 0.3 else rng.uniform(1.0, 5.0)
        num_samples = int(length_s * SAMPLE_RATE_HZ)
        strength = self._strength * min(1.0, step / self._gentle_steps)
        if rng.random() < GENTLE_SHARE:
            strength *= 0.2
        count = int(np.clip(self._batch_s / length_s, 3, 40))
        rows = [self._compose(num_samples, strength, rng) for _ in range(count)]
        samples = augment(np.stack([row.samples for row in rows]), self._surroundings, rng, strength)
        return Batch(
            samples=normalise(samples),
            labels=np.stack([row.labels for row in rows]),
            targets=[spell([WORDS[digit] for digit in row.digits]) for row in rows],
        )

    def _compose(self, num_samples: int, strength: float, rng: np.random.Generator) -> _Row:
        """Fill ``num_samples`` with recordings of one voice and gaps; one row in a hundred stays empty."""
        labels = np.full(count_frames(num_samples), SILENCE, dtype=np.int64)
        row = _Row(np.zeros(num_samples, np.float32), labels)
        if rng.random() < 0.01:
            return row
        pieces: list[tuple[Samples, tuple[int, ...], int]] = []
        room = num_samples
        limit = int(rng.integers(1, 9)) if rng.random() < 0.25 else 8
        for piece, digits in self._pieces(num_samples, strength, rng):
            gap = int(_draw_gap_s(rng) * SAMPLE_RATE_HZ) if pieces else 0
            if len(piece) + gap > room:
                break
            pieces.append((piece, digits, gap))
            room -= len(piece) + gap
            limit -= len(digits)
            if limit <= 0:
                break
        # Half the rows start or end with speech; otherwise CTC learns to emit last letters in silence.
        position = (0, room, int(rng.integers(room + 1)), int(rng.integers(room + 1)))[rng.integers(4)]
        for piece, digits, gap in pieces:
            row.place(piece, digits, position + gap)
            position += gap + len(piece)
        return row

    def _pieces(
        self, num_samples: int, strength: float, rng: np.random.Generator
    ) -> list[tuple[Samples, tuple[int, ...]]]:
        """Return recordings of one speaker with one distortion of the voice; the first always fits.

        In rows too short for two digits the first nearly fills the row, like a file with one word.
        """
        synthetic = self._synthetic and num_samples > SAMPLE_RATE_HZ
        if synthetic and rng.random() < self._synthetic_share * strength:
            pool, slowest, fastest = self._synthetic, 0.85, 1.2
        else:
            speakers = sorted(self._by_speaker)
            pool, slowest, fastest = self._by_speaker[speakers[rng.integers(len(speakers))]], 0.8, 1.25
        speed = 1.0 + strength * (rng.uniform(slowest, fastest) - 1.0)
        warp = WARPS[rng.integers(len(WARPS))] if rng.random() < 0.7 * strength else 1.0
        available_s = num_samples / SAMPLE_RATE_HZ * speed * 0.95
        pieces: list[tuple[Samples, tuple[int, ...]]] = []
        total_s = 0.0
        drawn = [pool[index] for index in rng.integers(len(pool), size=64)]
        if available_s < SHORT_S:
            drawn[:8] = sorted(drawn[:8], key=lambda one: one.duration_s, reverse=True)
        for recording in drawn:
            if not pieces and recording.duration_s > available_s:
                continue
            if total_s > available_s or len(pieces) > 8:
                break
            factor = speed * rng.uniform(0.96, 1.04)
            piece = resample(self._voice(recording, warp), recording.sample_rate_hz * factor, SAMPLE_RATE_HZ)
            level = 10 ** (rng.normal(0, 2.5) / 20) * 0.1
            pieces.append((piece * np.float32(level / (piece.std() + 1e-6)), recording.digits))
            total_s += recording.duration_s
        return pieces

    def _voice(self, recording: Recording, warp: float) -> Samples:
        """Return the recording with its formants moved, cached because this takes a millisecond."""
        if warp == 1.0:
            return recording.samples
        key = (recording.name, warp)
        if key not in self._warped:
            self._warped[key] = warp_formants(recording.samples, recording.sample_rate_hz, warp)
        return self._warped[key]


def voice_of(recording: Recording) -> str:
    """Return whose recordings may stand in one row: a speaker's, or of Speech Commands, any speaker's."""
    if recording.speaker in SPEAKERS:
        return recording.speaker
    return COMMANDS_FOLDER if recording.speaker.startswith(COMMANDS_FOLDER) else SYNTHETIC


def _draw_gap_s(rng: np.random.Generator) -> float:
    kind = rng.random()
    if kind < 0.3:
        return float(rng.uniform(0.0, 0.06))
    return float(rng.uniform(0.05, 0.4) if kind < 0.9 else rng.uniform(0.4, 1.0))
