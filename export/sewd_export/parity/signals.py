"""The audio that parity is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sewd_export.checkpoint.geometry import Geometry
from sewd_export.errors import ExportError
from sewd_export.refusals import check_recordings
from sewd_runtime import SewdError, read_audio
from sewd_runtime.evaluation.references import read_transcripts

_SPEECH = Path(__file__).parents[1] / "speech"
BATCH_SIZES = (1, 2, 5, 17)
_MAX_FRAMES = 3100  # a minute at the usual 20 ms; attention's time and memory grow with the square


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One utterance: `samples (samples,)` float32 at the model's rate, and its transcript if known."""

    name: str
    samples: NDArray[np.float32]
    transcript: str | None = None


def signals(geometry: Geometry, *, sample_rate_hz: int, audio: Path | None = None) -> list[Signal]:
    """Return the grid: lengths around every boundary, difficult levels, speech, the recordings in `audio`.

    The grid goes up to a minute, less for models with more than 50 frames a second.
    Raises ExportError: `audio` is not a folder with recordings, or its transcripts cannot be read.
    """
    first, stride, rate = geometry.min_samples, geometry.stride, sample_rate_hz
    max_samples = first + _MAX_FRAMES * stride
    lengths = [
        first,
        first + 1,
        first + stride - 1,
        first + stride,
        *(min(length, max_samples) for length in (rate, rate + 1, 47777, 10 * rate, 30 * rate, 61 * rate)),
    ]
    grid = [
        Signal(name=f"{length} samples", samples=_babble(length, rate)) for length in dict.fromkeys(lengths)
    ]
    grid += _hard_levels(min(3 * rate + 7, max_samples), rate)
    grid += [Signal(name=clip.name, samples=clip.samples[:max_samples]) for clip in _speech(rate)]
    if audio is not None:
        grid += read_recordings(audio, rate)
    return [signal for signal in grid if len(signal.samples) >= first]


def _hard_levels(length: int, rate: int) -> list[Signal]:
    """Return utterances that are difficult for normalisation over time."""
    babble = _babble(length, rate)
    half = np.where(np.arange(length) < length // 3, 0, babble).astype(np.float32)
    return [
        Signal(name="silence", samples=np.zeros(length * 2 // 3, np.float32)),
        Signal(name="clipped", samples=np.clip(20 * babble, -1, 1)),
        Signal(name="DC offset", samples=0.05 * babble + np.float32(0.5)),
        Signal(name="half silent", samples=half),
    ]


def golden_signal(sample_rate_hz: int) -> Signal:
    """Return the utterance stored in a bundle: the first of the package's speech clips."""
    return _speech(sample_rate_hz)[0]


def ragged_batches(
    grid: Sequence[Signal], *, max_samples: int, seed: int = 0
) -> tuple[tuple[Signal, ...], ...]:
    """Draw one batch of each of `BATCH_SIZES` from the signals of at most `max_samples` samples."""
    short = [signal for signal in grid if len(signal.samples) <= max_samples]
    random = np.random.default_rng(seed)
    return tuple(tuple(short[i] for i in random.integers(0, len(short), size)) for size in BATCH_SIZES)


def _babble(length: int, rate: int) -> NDArray[np.float32]:
    """Return noise as loud as speech, seeded by its length: `(length,)` float32 in [-1, 1]."""
    random = np.random.default_rng(length)
    seconds = np.arange(length) / rate
    loudness = 0.55 + 0.45 * np.sin(2 * np.pi * (3.1 * seconds + random.random()))
    noise = np.convolve(random.standard_normal(length), [0.5, 0.3, 0.2], mode="same")
    return np.clip(0.2 * loudness * noise, -1, 1).astype(np.float32)


def _speech(rate: int) -> list[Signal]:
    """Read the package's clips, named without suffix, unlike recordings of the user.

    Their transcripts are left out, so that a word error rate is of the user's recordings only.
    """
    clips = read_recordings(_SPEECH, rate)
    return [Signal(name=Path(clip.name).stem, samples=clip.samples) for clip in clips]


def read_recordings(folder: Path, rate: int) -> list[Signal]:
    """Read every recording in the folder and its subfolders, named by its path in the folder.

    Raises ExportError: no recordings, one that cannot be read or is truncated, or a bad `transcripts.tsv`.
    """
    paths = check_recordings(folder)
    try:
        transcripts = read_transcripts(paths)
        return [
            Signal(
                name=path.relative_to(folder).as_posix(),
                samples=read_audio(path, target_rate_hz=rate, strict=True),
                transcript=transcripts.get(path),
            )
            for path in paths
        ]
    except (SewdError, OSError) as error:
        raise ExportError(str(error)) from error
