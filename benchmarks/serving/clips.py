"""The recordings of the load: 1 to 30 s of real digits, joined from speakers of one data set each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.reference.augmentation import SAMPLE_RATE_HZ
from benchmarks.results import SPEECH
from benchmarks.speech import Utterances, join, read_kokoro, read_packaged, silence, singles

_PAUSES_S = (0.1, 0.4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A recording as a file, and what is said."""

    path: Path
    text: str
    duration_s: float


def make_clips(folder: Path, count: int, *, seconds: tuple[float, float] = (1.0, 30.0)) -> list[Clip]:
    """Write recordings whose lengths are spread evenly over their logarithm, and return them.

    Without the shared recordings, the clips that come with the package are joined instead.
    """
    folder.mkdir(parents=True, exist_ok=True)
    spoken = singles(read_kokoro(SPEECH, "test")) if SPEECH.is_dir() else list(read_packaged().values())
    rng = np.random.default_rng(0)
    lengths_s = np.exp(np.linspace(*np.log(seconds), count))
    return [
        _make(folder / f"{number:03}.wav", spoken, length_s, rng) for number, length_s in enumerate(lengths_s)
    ]


def _make(path: Path, spoken: Utterances, length_s: float, rng: np.random.Generator) -> Clip:
    """Join utterances until the next one would be too long; the shortest recording is one of them."""
    pieces: Utterances = []
    left, before = length_s, -1
    while len(pieces) > before:
        before = len(pieces)
        for place in rng.permutation(len(spoken)):
            seconds = len(spoken[place][0]) / SAMPLE_RATE_HZ + _PAUSES_S[1]
            if seconds <= left:
                pieces.append(spoken[place])
                left -= seconds
    if not pieces:
        pieces = [min(spoken, key=lambda one: len(one[0]))]
    joined = join(pieces, silence(rng, _PAUSES_S), leading=False)
    soundfile.write(path, joined.samples, SAMPLE_RATE_HZ, subtype="PCM_16")
    return Clip(path=path, text=joined.text, duration_s=len(joined.samples) / SAMPLE_RATE_HZ)
