"""Speech with noise, through a telephone, through a lossy format."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import soundfile
from scipy import signal  # type: ignore[import-untyped,unused-ignore]

from benchmarks.reference.augmentation import SAMPLE_RATE_HZ, Samples, coloured_noise, resample
from benchmarks.speech import Utterances

TELEPHONE_HZ = 8_000
TELEPHONE_BAND_HZ = (300, 3_400)
MP3_LEVEL = 0.85  # of libsndfile: 0 is the most bits, 1 the fewest; this is 32 kbit/s at 16 kHz


def with_noise(samples: Samples, snr_db: float, rng: np.random.Generator) -> Samples:
    """Add pink noise at a signal-to-noise ratio, over the mean power of all samples."""
    noise = np.roll(coloured_noise(1.0, seconds=30.0), int(rng.integers(1 << 30)))[: len(samples)]
    return np.asarray(samples + noise * (samples.std() / noise.std() * 10 ** (-snr_db / 20)), np.float32)


def in_noise(snr_db: float, utterances: Utterances, rng: np.random.Generator | None = None) -> Utterances:
    """Add pink noise to each utterance."""
    rng = rng or np.random.default_rng(0)
    return [(with_noise(samples, snr_db, rng), text) for samples, text in utterances]


def by_telephone(samples: Samples) -> Samples:
    """Reduce to 8 kHz and 300 to 3,400 Hz, and return at 16 kHz: ``(samples,)`` float32."""
    narrow = resample(samples, SAMPLE_RATE_HZ, TELEPHONE_HZ)
    band = signal.butter(4, TELEPHONE_BAND_HZ, btype="bandpass", fs=TELEPHONE_HZ, output="sos")
    filtered = signal.sosfilt(band, narrow).astype(np.float32)
    return resample(filtered, TELEPHONE_HZ, SAMPLE_RATE_HZ)


def write_mp3(samples: Samples) -> bytes:
    """Encode ``(samples,)`` float32 in [-1, 1] as MP3 at a constant rate of 32 kbit/s."""
    written = io.BytesIO()
    soundfile.write(
        written,
        samples,
        SAMPLE_RATE_HZ,
        format="MP3",
        bitrate_mode="CONSTANT",
        compression_level=MP3_LEVEL,
    )
    return written.getvalue()


def as_mp3(samples: Samples) -> Samples:
    """Encode as MP3 and decode: ``(samples,)`` float32, a few ms longer."""
    loudest = max(1.0, float(np.abs(samples).max()))
    read, _ = soundfile.read(io.BytesIO(write_mp3(samples / loudest)), dtype="float32")
    return np.asarray(read * loudest, dtype=np.float32)


def _each(change: Callable[[Samples], Samples], utterances: Utterances) -> Utterances:
    return [(change(samples), text) for samples, text in utterances]


DISTORTIONS: Mapping[str, Callable[[Utterances], Utterances]] = {
    "noise at 20 dB": partial(in_noise, 20),
    "noise at 10 dB": partial(in_noise, 10),
    "noise at 5 dB": partial(in_noise, 5),
    "telephone": partial(_each, by_telephone),
    "MP3, 32 kbit/s": partial(_each, as_mp3),
}
