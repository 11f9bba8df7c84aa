"""Speak the sample clips of ``make demo`` with Flite, so that the repository carries no one's recordings.

    python benchmarks/reference/synthesise_clips.py -o tests/data/clips

Needs the ``flite`` command (Debian: ``flite``). None of its voices is in the training data. Digits are drawn
from a fixed seed, one string a voice in turn: the clips are not chosen by what the model makes of them.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from augmentation import SAMPLE_RATE_HZ, read_mono
from digits import WORDS

VOICES = ("slt", "rms", "awb")
CLIPS = 6
SEED = 7


def speak(words: list[str], voice: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Synthesise the words with short pauses: ``(samples,)`` float32 at 16 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(
            ["flite", "-voice", voice, "-t", ", ".join(words).lower(), "-o", str(path)], check=True
        )
        return read_mono(path)


def main() -> None:
    """Write the clips as FLAC and their transcripts as ``transcripts.tsv``: name, text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    with (arguments.output / "transcripts.tsv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, delimiter="\t", lineterminator="\n")
        for index in range(CLIPS):
            voice = VOICES[index % len(VOICES)]
            words = [WORDS[digit] for digit in rng.integers(len(WORDS), size=int(rng.integers(3, 6)))]
            name = f"{voice}_{index + 1}.flac"
            soundfile.write(arguments.output / name, speak(words, voice), SAMPLE_RATE_HZ, subtype="PCM_16")
            rows.writerow([name, " ".join(words)])


if __name__ == "__main__":
    main()
