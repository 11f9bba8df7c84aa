"""Write frame-wise targets for English recordings: numbers of Whisper's encoder, and the units they form.

    make build/english/lessons.npz

CTC from five hours of transcripts alone stays on a plateau for thousands of steps; a target for each frame of
20 ms, the rate of SEW-D's own frames, ends it. Whisper base (Radford et al. 2022, MIT) comes in CTranslate2's
format in two packages; of its encoder's 512 numbers the principal components are kept, in 8 bits, and the
cluster they fall in, as HuBERT's targets are made (Hsu et al. 2021). What one recording gives is kept beside
the output, so that a stopped run continues.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ctranslate2  # type: ignore[import-not-found,unused-ignore]
import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2, vq  # type: ignore[import-untyped,unused-ignore]
from transformers import WhisperFeatureExtractor

from benchmarks.reference.augmentation import SAMPLE_RATE_HZ, Samples, read_mono
from benchmarks.reference.corpora import taught_transcripts
from benchmarks.reference.english import (
    COMPONENTS,
    UNITS,
    UNITS_PER_DEVIATION,
    find_recordings,
    read_transcripts,
)
from benchmarks.reference.layout import STRIDE
from benchmarks.whisper import write_model

ROOM_FRAMES = 400  # of 10 ms: Whisper reads silence after the speech, 30 s of it when it was trained
LONGEST_FRAMES = 3000
CLUSTERED_FRAMES = 40_000


def open_whisper(folder: Path, threads: int) -> Any:
    """Write the model into ``folder`` and open it."""
    write_model(folder)
    return ctranslate2.models.Whisper(str(folder), compute_type="int8_float32", intra_threads=threads)


class Teacher:
    """Whisper's encoder, asked one recording at a time."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._whisper = open_whisper(folder / "whisper", threads)
        self._spectrogram = WhisperFeatureExtractor()

    def features(self, samples: Samples) -> NDArray[np.float16]:
        """Encode ``(samples,)`` float32 at 16 kHz: ``(frames, 512)`` float16."""
        mel = self._spectrogram(samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors="np").input_features
        frames = len(samples) // STRIDE
        mel = np.ascontiguousarray(mel[:, :, : min(LONGEST_FRAMES, 2 * frames + ROOM_FRAMES)])
        encoded = self._whisper.encode(ctranslate2.StorageView.from_array(mel), to_cpu=True)
        return np.asarray(encoded)[0, :frames].astype(np.float16)


def principal_components(
    features: list[NDArray[np.float16]],
) -> tuple[list[NDArray[np.int8]], NDArray[np.float64]]:
    """Project each ``(frames, 512)`` on the leading components of all; return them and their deviations.

    The components are int8, ``UNITS_PER_DEVIATION`` a standard deviation.
    """
    count = sum(len(one) for one in features)
    mean = sum(one.astype(np.float64).sum(axis=0) for one in features) / count
    covariance = sum((one - mean).T @ (one - mean) for one in features) / count
    variances, directions = (found[..., ::-1] for found in np.linalg.eigh(covariance))
    deviations = np.sqrt(variances[:COMPONENTS])
    print(f"{COMPONENTS} components: {variances[:COMPONENTS].sum() / variances.sum():.1%} of the variance")
    basis = directions[:, :COMPONENTS] / deviations * UNITS_PER_DEVIATION
    return [np.clip(np.rint((one - mean) @ basis), -127, 127).astype(np.int8) for one in features], deviations


def find_units(components: NDArray[np.int8], deviations: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Cluster the frames by k-means on a random part of them: ``(frames,)`` uint8."""
    scaled = (components * deviations).astype(np.float32)
    drawn = np.random.default_rng(0).choice(len(scaled), min(CLUSTERED_FRAMES, len(scaled)), replace=False)
    centres, _ = kmeans2(scaled[drawn], UNITS, minit="++", rng=0)
    blocks = np.array_split(scaled, max(1, len(scaled) // CLUSTERED_FRAMES))
    return np.concatenate([vq(block, centres)[0] for block in blocks]).astype(np.uint8)


def ask(teacher: Teacher, paths: Sequence[Path], kept: Path) -> list[NDArray[np.float16]]:
    """Encode each recording that is not kept yet; return all, each ``(frames, 512)`` float16."""
    kept.mkdir(parents=True, exist_ok=True)
    for path in paths:
        if not (kept / f"{path.stem}.npy").exists():
            np.save(kept / f"{path.stem}.part.npy", teacher.features(read_mono(path)))
            (kept / f"{path.stem}.part.npy").replace(kept / f"{path.stem}.npy")
    return [np.load(kept / f"{path.stem}.npy") for path in paths]


def find_pupils(speech: Path, spoken: Sequence[Path], untranscribed: Sequence[Path]) -> list[Path]:
    """The recordings that are taught of the corpora in ``speech``, and all of the other folders."""
    folders = {speech / name: list(rows) for name, rows in taught_transcripts(speech).items()}
    folders |= {folder: list(read_transcripts(folder)) for folder in spoken}
    found = []
    for folder, names in folders.items():
        recordings = find_recordings(folder)
        found += [recordings[name] for name in names]
    return found + [path for folder in untranscribed for path in find_recordings(folder).values()]


def main() -> None:
    """Ask the teacher about each recording, then write one file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--speech", type=Path, required=True, help="folder of all corpora")
    add("-o", "--output", type=Path, required=True)
    add("--spoken", type=Path, nargs="*", default=[], help="folders of transcribed speech beside those")
    add("--untranscribed", type=Path, nargs="*", default=[], help="folders of speech without transcripts")
    add("--threads", type=int, default=2)
    arguments = parser.parse_args()
    paths = find_pupils(arguments.speech, arguments.spoken, arguments.untranscribed)
    teacher = Teacher(arguments.output.parent, arguments.threads)
    found = ask(teacher, paths, arguments.output.parent / "whisper_features")
    parts, deviations = principal_components(found)
    components = np.concatenate(parts)
    np.savez(
        arguments.output,
        names=np.array([path.stem for path in paths]),
        frames=np.array([len(one) for one in found]),
        features=components,
        deviations=deviations,
        units=find_units(components, deviations),
    )


if __name__ == "__main__":
    main()
