"""Cheap, seeded distortions that turn a few recorded speakers into many speakers, rooms and microphones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy import fft  # type: ignore[import-untyped,unused-ignore]

Samples = NDArray[np.float32]

SAMPLE_RATE_HZ = 16_000
MAX_RESPONSE_S = 0.5
WARP_WINDOW_S = 0.032
WARP_LIFTER_S = 0.0025  # below the pitch period of voices up to 400 Hz: only the formants remain
NOISE_GLOBS = ("*__noise__*.wav", "*short_noises__*.wav", "*demo__tap.wav", "*acoustic_guitar*.wav")
RESPONSE_GLOBS = ("*__RIRs__*.wav", "*__ir__*.wav")


def warp_formants(samples: Samples, sample_rate_hz: int, factor: float) -> Samples:
    """Move the spectral envelope up by ``factor``; pitch and duration stay.

    samples: (samples,) float32; the result has the same length.
    """
    size = int(WARP_WINDOW_S * sample_rate_hz)
    hop = size // 4
    padded = np.pad(samples, (size, 2 * size))
    taper = np.hanning(size).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * taper
    spectrum = fft.rfft(frames)
    log_magnitude = np.log(np.abs(spectrum) + 1e-5)
    cepstrum = fft.irfft(log_magnitude, n=size)
    keep = int(WARP_LIFTER_S * sample_rate_hz)
    cepstrum[:, keep : size - keep + 1] = 0.0
    envelope = fft.rfft(cepstrum).real
    bins = envelope.shape[1]
    position = np.minimum(np.arange(bins) / factor, bins - 1.001)
    below = position.astype(np.int64)
    share = (position - below).astype(np.float32)
    moved = envelope[:, below] * (1 - share) + envelope[:, below + 1] * share
    warped = fft.irfft(spectrum * np.exp(np.clip(moved - envelope, -3.0, 3.0)), n=size) * taper
    total = np.zeros(len(padded), np.float32)
    for index, frame in enumerate(warped):
        total[index * hop : index * hop + size] += frame
    return (total[size : size + len(samples)] / 1.5).astype(
        np.float32
    )  # hann squared at quarter hops sums to 1.5


def read_mono(path: Path, sample_rate_hz: int = SAMPLE_RATE_HZ) -> Samples:
    """Read one file as ``(samples,)`` float32 at ``sample_rate_hz``, first channel only."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return resample(samples[:, 0], rate_hz, sample_rate_hz)


def resample(samples: Samples, from_hz: float, to_hz: float) -> Samples:
    """Resample; with a wrong ``from_hz`` this changes speed, pitch and formants."""
    if from_hz == to_hz:
        return samples
    return np.asarray(soxr.resample(samples, from_hz, to_hz, quality="LQ"), dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Noises and room responses at 16 kHz; each array is ``(samples,)`` float32."""

    noises: tuple[Samples, ...]
    responses: tuple[Samples, ...]

    @classmethod
    def read(cls, folder: Path, *, without: tuple[str, ...] = ()) -> Surroundings:
        """Read the noises and room responses of the folder, without its speech, and add coloured noise.

        without: parts of the names of noises to leave out.
        """
        paths = [
            path for path in _find(folder, NOISE_GLOBS) if not any(part in path.name for part in without)
        ]
        noises = [read_mono(path) for path in paths]
        noises += [coloured_noise(slope, seconds=10.0) for slope in (0.0, 0.5, 1.0)]
        responses = []
        for path in _find(folder, RESPONSE_GLOBS):
            response = read_mono(path)
            response = response[int(np.argmax(np.abs(response))) :]  # no delay, so that labels stay aligned
            responses.append(response[: int(MAX_RESPONSE_S * SAMPLE_RATE_HZ)] / np.abs(response[0]))
        loud = [noise / noise.std() for noise in noises if noise.std() > 0]
        return cls(noises=tuple(loud), responses=tuple(responses))


def _find(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def coloured_noise(slope: float, seconds: float) -> Samples:
    """Noise whose amplitude falls as frequency to the power of ``slope``, the same on every call."""
    count = int(seconds * SAMPLE_RATE_HZ)
    spectrum = fft.rfft(np.random.default_rng(0).standard_normal(count).astype(np.float32))
    spectrum *= np.arange(1, len(spectrum) + 1, dtype=np.float32) ** -slope
    return np.asarray(fft.irfft(spectrum, n=count), dtype=np.float32)


def augment(
    batch: Samples, surroundings: Surroundings, rng: np.random.Generator, strength: float = 1.0
) -> Samples:
    """Filter, reverberate, add noise to and sometimes clip each row of ``(batch, samples)`` float32.

    ``strength`` from 0 to 1 scales how often each of these happens.
    """
    filtered = _filter(batch, surroundings, rng, strength)
    rows = np.empty_like(batch)
    for index, row in enumerate(filtered):
        noisy = row + _noise_for(row, surroundings, rng) if rng.random() < 0.75 * strength else row
        if rng.random() < 0.05 * strength:
            limit = float(np.abs(noisy).max()) * rng.uniform(0.2, 0.7)
            noisy = np.clip(noisy, -limit, limit)
        if rng.random() < 0.05 * strength:
            noisy = noisy + rng.uniform(-0.1, 0.1) * np.abs(noisy).max()
        rows[index] = noisy if rng.random() < 0.5 else -noisy
    return rows


def normalise(batch: Samples) -> Samples:
    """Zero mean, unit variance per row, as ``Wav2Vec2FeatureExtractor`` does it (eps 1e-7)."""
    centred = batch - batch.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + 1e-7), dtype=np.float32)


def _noise_for(row: Samples, surroundings: Surroundings, rng: np.random.Generator) -> Samples:
    noise = surroundings.noises[rng.integers(len(surroundings.noises))]
    excerpt = np.resize(np.roll(noise, -int(rng.integers(len(noise)))), len(row))
    level = max(float(row.std()), 1e-3)
    return np.asarray(excerpt * level * 10 ** (-rng.uniform(3.0, 45.0) / 20), dtype=np.float32)


def _filter(batch: Samples, surroundings: Surroundings, rng: np.random.Generator, strength: float) -> Samples:
    """Apply all linear distortions of a row as one multiplication in the frequency domain."""
    count = batch.shape[1]
    size = fft.next_fast_len(count + int(MAX_RESPONSE_S * SAMPLE_RATE_HZ), real=True)
    spectrum = fft.rfft(batch, n=size)
    frequency_hz = np.arange(spectrum.shape[1], dtype=np.float32) * (SAMPLE_RATE_HZ / size)
    for row in spectrum:
        if rng.random() < 0.7 * strength:
            row *= _equaliser(frequency_hz, rng)
        if rng.random() < 0.3 * strength:
            row *= _band(frequency_hz, rng)
        if surroundings.responses and rng.random() < 0.35 * strength:
            response = surroundings.responses[rng.integers(len(surroundings.responses))]
            decay_s = rng.uniform(0.02, 0.3)
            tail = np.exp(-np.arange(len(response)) / (decay_s * SAMPLE_RATE_HZ)).astype(np.float32)
            row *= fft.rfft(response * tail, n=size)
    return np.asarray(fft.irfft(spectrum, n=size)[:, :count], dtype=np.float32)


def _equaliser(frequency_hz: Samples, rng: np.random.Generator) -> Samples:
    """Return a smooth random gain: a tilt of up to 6 dB per decade and a ripple of a few dB."""
    nodes_hz = np.array([0, 150, 300, 600, 1000, 1500, 2200, 3000, 4000, 5500, 8000])
    tilt_db = rng.uniform(-6, 6) * np.log10(np.maximum(nodes_hz, 100) / 1000)
    gain_db = np.interp(frequency_hz, nodes_hz, tilt_db + rng.normal(0, 2.5, len(nodes_hz)))
    return np.asarray(10 ** (gain_db / 20), dtype=np.float32)


def _band(frequency_hz: Samples, rng: np.random.Generator) -> Samples:
    """Return the gain of a band like a telephone's: it fades over a quarter of the edge frequency."""
    low_hz, high_hz = rng.uniform(50, 350), rng.uniform(2800, 4000)
    rise = np.clip((frequency_hz - 0.75 * low_hz) / (0.25 * low_hz), 0, 1)
    fall = np.clip((1.1 * high_hz - frequency_hz) / (0.1 * high_hz), 0, 1)
    return np.asarray(rise * fall, dtype=np.float32)
