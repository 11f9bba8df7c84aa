"""Read sentences aloud with synthetic voices, for training: words and voices that the recordings do not hold.

    make build/english/spoken/transcripts.tsv

Writes FLAC at 16 kHz and ``transcripts.tsv``, as LibriSpeech's folders have it here. What is spoken already
is kept, so that a stopped run continues. The sentences are those of two public-domain books and, for Hibari,
of the recordings taught; none shares six words in a row with a text held out. On two cores Kokoro speaks 6
times as fast as real time, the others far faster.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.reference.augmentation import SAMPLE_RATE_HZ
from benchmarks.reference.corpora import HeldOutTexts, taught_transcripts
from benchmarks.reference.english import read_books
from benchmarks.reference.layout import spellable
from benchmarks.reference.voices import Flite, Hibari, Joe, Kokoro, Speak

WORDS = (4, 30)  # in a sentence
SEED = 11
KEY_DIGITS = 12
HIBARI_ROUNDS = 4  # a sentence is spoken by as many voices, if the hours ask for it
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
    speak: Speak, name: str, chosen: list[tuple[str, str]], hours: float, folder: Path, threads: int
) -> list[tuple[str, str]]:
    """Speak (key, sentence) in the order given until the hours are full; return (name, text) of each."""

    def one(key: str, sentence: str) -> float:
        path = folder / f"{name}-{key}.flac"
        if not path.exists():
            samples = speak(sentence, np.random.default_rng((SEED, int(key, 16))))
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
            rows += [(f"{name}-{key}", spellable(sentence)) for key, sentence in block]
    print(f"{name}: {len(rows)} sentences, {total_s / 3600:.2f} h", flush=True)
    return rows


def book_sentences(speech: Path) -> list[str]:
    """Every sentence of the books once, but for those that are held out."""
    held_out = HeldOutTexts.read(speech)
    found = dict.fromkeys(one for book in read_books(speech / "text") for one in sentences(book))
    return [one for one in found if one not in held_out]


def taught_sentences(speech: Path) -> list[str]:
    """Every text of the recordings once, in small letters, neither very short nor very long."""
    texts = dict.fromkeys(text for rows in taught_transcripts(speech).values() for text in rows.values())
    return [f"{text.lower()}." for text in texts if WORDS[0] <= len(text.split()) <= WORDS[1]]


def shuffle(texts: Sequence[str], rounds: int = 1) -> list[tuple[str, str]]:
    """The texts in random order, ``rounds`` times, each with the key of its round and words.

    A recording is named after its key: when the texts change, it is never taken for another sentence's.
    """
    rng = np.random.default_rng(SEED)
    return [
        (f"{turn:x}{hashlib.sha256(texts[place].encode()).hexdigest()[:KEY_DIGITS]}", texts[place])
        for turn in range(rounds)
        for place in rng.permutation(len(texts))
    ]


def speak_all(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """Share the books' sentences out among three voices, give all there is to the fourth; let each speak."""
    books = book_sentences(arguments.speech)
    order = shuffle(books)
    everything = shuffle([*books, *taught_sentences(arguments.speech)], HIBARI_ROUNDS)
    voices: dict[str, tuple[Callable[[], Speak], float, list[tuple[str, str]]]] = {
        "flite": (Flite, arguments.flite, order[0::3]),
        "joe": (Joe, arguments.joe, order[1::3]),
        "kokoro": (partial(Kokoro, arguments.kokoro_voices), arguments.kokoro, order[2::3]),
        "hibari": (Hibari, arguments.hibari, everything),
    }
    rows: list[tuple[str, str]] = []
    for name, (open_voice, hours, share) in voices.items():
        if hours > 0:
            rows += speak_until(open_voice(), name, share, hours, arguments.output, arguments.threads)
    return rows


def main() -> None:
    """Let the voices speak, then list what they said."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--speech", type=Path, required=True, help="folder of all corpora, and of the two books in text")
    add("--kokoro-voices", type=Path, help="folder voices of npm's kokoro-js")
    add("-o", "--output", type=Path, required=True)
    add("--kokoro", type=float, default=1.0, metavar="HOURS")
    add("--joe", type=float, default=0.7, metavar="HOURS")
    add("--flite", type=float, default=0.7, metavar="HOURS")
    add("--hibari", type=float, default=0.0, metavar="HOURS")
    add("--threads", type=int, default=2)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    rows = speak_all(arguments)
    part = arguments.output / "transcripts.part"
    with part.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows(rows)
    part.replace(arguments.output / "transcripts.tsv")


if __name__ == "__main__":
    main()
