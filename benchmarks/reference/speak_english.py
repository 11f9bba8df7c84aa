"""Read sentences of public-domain books aloud with synthetic voices, for training: words that five hours of
recordings do not hold.

    make build/english/spoken/transcripts.tsv

Writes FLAC at 16 kHz and ``transcripts.tsv``, as LibriSpeech's folders have it here. What is spoken already
is kept, so that a stopped run continues. On two cores Kokoro speaks 6 times as fast as real time, the
others far faster.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.reference.augmentation import SAMPLE_RATE_HZ
from benchmarks.reference.english import read_books
from benchmarks.reference.layout import spellable
from benchmarks.reference.voices import Flite, Joe, Kokoro, Speak

WORDS = (4, 30)  # in a sentence
SEED = 11
TITLES = {"Mr.": "Mister", "Mrs.": "Missus", "Dr.": "Doctor", "St.": "Saint"}
PEAK = 0.5


def sentences(book: str) -> Iterator[str]:
    """Sentences of a book that can be spelled, neither very short nor very long."""
    for title, word in TITLES.items():
        book = book.replace(title, word)
    for paragraph in re.split(r"\n\s*\n", book):
        for sentence in re.split(r"(?<=[.!?])[\"']?\s+[\"']?(?=[A-Z])", " ".join(paragraph.split())):
            cleaned = re.sub(r"[_\"]|--", " ", sentence)
            words = spellable(cleaned).split()
            if WORDS[0] <= len(words) <= WORDS[1] and cleaned.upper() != cleaned:
                yield " ".join(cleaned.split())


def speak_until(
    speak: Speak, name: str, chosen: list[tuple[int, str]], hours: float, folder: Path, threads: int
) -> list[tuple[str, str]]:
    """Speak sentences in the order given until the hours are full; return (name, text) of each."""

    def one(number: int, sentence: str) -> float:
        path = folder / f"{name}-{number:05d}.flac"
        if not path.exists():
            samples = speak(sentence, np.random.default_rng((SEED, number)))
            samples = samples * np.float32(PEAK / (np.abs(samples).max() + 1e-6))
            part = path.with_suffix(".part.flac")
            soundfile.write(part, samples, SAMPLE_RATE_HZ, subtype="PCM_16")
            part.replace(path)
        return float(soundfile.info(path).duration)

    rows: list[tuple[str, str]] = []
    total_s = 0.0
    with ThreadPoolExecutor(threads) as pool:
        while total_s < 3600 * hours and len(rows) < len(chosen):
            block = chosen[len(rows) : len(rows) + 8 * threads]
            total_s += sum(pool.map(one, *zip(*block, strict=True)))
            rows += [(f"{name}-{number:05d}", spellable(sentence)) for number, sentence in block]
    print(f"{name}: {len(rows)} sentences, {total_s / 3600:.2f} h", flush=True)
    return rows


def main() -> None:
    """Share the sentences out among the voices, then let each speak."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--text", type=Path, required=True, help="folder of the two books")
    add("--kokoro-voices", type=Path, required=True, help="folder voices of npm's kokoro-js")
    add("-o", "--output", type=Path, required=True)
    add("--kokoro", type=float, default=1.0, metavar="HOURS")
    add("--joe", type=float, default=0.7, metavar="HOURS")
    add("--flite", type=float, default=0.7, metavar="HOURS")
    add("--threads", type=int, default=2)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    books = read_books(arguments.text)
    found = list(dict.fromkeys(sentence for book in books for sentence in sentences(book)))
    order = [(int(one), found[one]) for one in np.random.default_rng(SEED).permutation(len(found))]
    voices: dict[str, tuple[Speak, float]] = {
        "flite": (Flite(), arguments.flite),
        "joe": (Joe(), arguments.joe),
        "kokoro": (Kokoro(arguments.kokoro_voices), arguments.kokoro),
    }
    rows: list[tuple[str, str]] = []
    for place, (name, (speak, hours)) in enumerate(voices.items()):
        share = order[place :: len(voices)]
        rows += speak_until(speak, name, share, hours, arguments.output, arguments.threads)
    part = arguments.output / "transcripts.part"
    with part.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows(rows)
    part.replace(arguments.output / "transcripts.tsv")


if __name__ == "__main__":
    main()
