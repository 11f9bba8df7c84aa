"""Digit strings by synthetic voices outside the training set, spoken digit by digit."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.reference.augmentation import Samples, read_mono
from benchmarks.speech import GAP_S, WORDS, Utterances, join, silence

Commands = Mapping[str, Callable[[str, Path], list[str]]]
"""Name of a voice → the command that speaks a word into a file."""


def flite(voice: str) -> Callable[[str, Path], list[str]]:
    """Return the command of a voice of Flite."""
    return lambda word, path: ["flite", "-voice", voice, "-t", word, "-o", str(path)]


def _espeak(voice: str) -> Callable[[str, Path], list[str]]:
    return lambda word, path: ["espeak-ng", "-v", voice, "-s", "140", "-w", str(path), word]


TEST: Commands = {
    **{f"flite {voice}": flite(voice) for voice in ("awb", "rms", "kal16", "slt")},
    **{f"espeak-ng {voice}": _espeak(voice) for voice in ("en-us", "en-gb-x-rp")},
}
DEV: Commands = {
    f"espeak-ng {voice}": _espeak(voice)
    for voice in ("en-gb", "en-gb-scotland", "en-029", "en-gb-x-gbclan", "en-us+f3", "en-us+m7")
}


def speak(voices: Commands, *, seed: int, count: int, phrases: Sequence[Sequence[int]] = ()) -> Utterances:
    """Return ``count`` strings of 3 to 6 digits by each voice, pauses of 50 to 250 ms between digits.

    phrases: every second utterance is one of these.
    """
    rng = np.random.default_rng(seed)
    utterances = []
    for command in voices.values():
        spoken = [say(command, word) for word in WORDS]
        for index in range(count):
            digits = rng.integers(len(WORDS), size=int(rng.integers(3, 7))).tolist()
            if phrases and index % 2:
                digits = list(phrases[int(rng.integers(len(phrases)))])
            joined = join([(spoken[digit], WORDS[digit]) for digit in digits], silence(rng, GAP_S))
            utterances.append((joined.samples, joined.text))
    return utterances


def say(command: Callable[[str, Path], list[str]], word: str) -> Samples:
    """Return the spoken word: ``(samples,)`` float32 at 16 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        arguments = command(word.lower(), path)
        if shutil.which(arguments[0]) is None:
            raise SystemExit(f"needs the command {arguments[0]}: install Debian's flite and espeak-ng")
        subprocess.run(arguments, check=True)
        return read_mono(path)
