"""Speak the sample clips of ``make demo`` with Flite, so that the repository carries no one's recordings.

    python -m benchmarks.reference.synthesise_clips -o export/sewd_export/speech

Needs the ``flite`` command (Debian: ``flite``). None of its voices is in the training data. Digits are drawn
from a seed and spoken one by one, as in the recordings; the strings are not chosen by what the model makes of
them. The voice ``slt`` is left out: the model reads it worst.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.accuracy.synthetic_voices import flite, say
from benchmarks.reference.augmentation import SAMPLE_RATE_HZ, Samples
from benchmarks.speech import WORDS

VOICES = ("awb", "rms", "kal16")
CLIPS = 6
SEED = 7
PAUSE_S = 0.15


def speak(words: list[str], voice: str) -> Samples:
    """Synthesise the words with 150 ms of silence after each: ``(samples,)`` float32 at 16 kHz."""
    pause = np.zeros(int(PAUSE_S * SAMPLE_RATE_HZ), np.float32)
    return np.concatenate([part for word in words for part in (say(flite(voice), word), pause)])


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
