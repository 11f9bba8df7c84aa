"""Recordings of a corpus with their texts, decoded once."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from benchmarks.reference.augmentation import SAMPLE_RATE_HZ, Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One recording: ``samples`` ``(samples,)`` int16 at 16 kHz, and its words."""

    name: str
    samples: NDArray[np.int16]
    text: str

    def floats(self) -> Samples:
        """The samples in [-1, 1]: ``(samples,)`` float32."""
        return self.samples.astype(np.float32) / np.float32(32768)


def read_transcripts(folder: Path) -> dict[str, str]:
    """Read ``transcripts.tsv`` of a corpus: name to text."""
    with (folder / "transcripts.tsv").open(encoding="utf-8") as file:
        return {name: text for name, text, *_ in csv.reader(file, delimiter="\t")}


def read_utterances(folder: Path, transcripts: Mapping[str, str] | None = None) -> list[Utterance]:
    """Read a corpus, at 16 kHz.

    transcripts: name to text, of what is read; else those of ``transcripts.tsv``.
    """
    recordings = {path.stem: path for path in folder.iterdir()}
    transcripts = read_transcripts(folder) if transcripts is None else transcripts
    return [
        Utterance(name=name, samples=_read_int16(recordings[name]), text=text)
        for name, text in transcripts.items()
    ]


def _read_int16(path: Path) -> NDArray[np.int16]:
    samples, rate_hz = soundfile.read(path, dtype="int16")
    if rate_hz == SAMPLE_RATE_HZ:  # soxr would add dither
        return np.asarray(samples)
    return np.asarray(soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ), np.int16)


def keep(folder: Path, read: Callable[[], list[Utterance]]) -> list[Utterance]:
    """What ``read`` gives, decoded once: from then on it is mapped from ``folder``."""
    listing, joined = folder / "utterances.json", folder / "samples.npy"
    if not listing.exists():
        folder.mkdir(parents=True, exist_ok=True)
        utterances = read()
        np.save(joined, np.concatenate([one.samples for one in utterances]))
        rows = [(one.name, one.text, len(one.samples)) for one in utterances]
        part = listing.with_suffix(".part")
        part.write_text(json.dumps(rows), encoding="utf-8")
        part.replace(listing)
    samples, begin, found = np.load(joined, mmap_mode="r"), 0, []
    for name, text, length in json.loads(listing.read_text(encoding="utf-8")):
        found.append(Utterance(name=name, samples=samples[begin : begin + length], text=text))
        begin += length
    return found
