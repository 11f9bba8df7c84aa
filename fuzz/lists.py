"""Lists: hotwords, lexicons, texts to align, texts for language models, transcripts, and ARPA files."""

from __future__ import annotations

import argparse
import os
import tempfile
from functools import cache
from pathlib import Path
from random import Random

import numpy as np

import sewd_runtime
from fuzz.mutants import NUMBERS, SEEDS, Mutant, mutate_bytes
from sewd_runtime.commands import lm
from sewd_runtime.commands._decoding import add_decoding, decoder_of
from sewd_runtime.decode.lm.arpa import write_arpa
from sewd_runtime.decode.lm.kneser_ney import estimate
from sewd_runtime.decode.lm.model import KenlmModel
from sewd_runtime.errors import LanguageModelError
from sewd_runtime.evaluation.references import read_transcripts
from sewd_runtime.text.files import read_text_file

_NOISE = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
_SENTENCES = ("ONE TWO THREE", "TWO ONE", "THREE ONE TWO", "ONE ONE TWO TWO THREE", "DON'T STOP")
_TEXTS = {
    "hotwords": "# names\nAACHEN=8\nNEW YORK=3.5\nÉCOLE=1\nDON'T=-2\n",
    "lexicon": "ONE\nTWO\nTHREE\nDON'T\nÉCOLE\n",
    "align": "One, two. THREE\n",
    "sentences": "\n".join(_SENTENCES) + "\n",
    "transcripts.tsv": "a\tONE TWO\nb.wav\tDON\u2019T STOP\tignored\n",
}
_PIECES = (
    "",
    " ",
    "\t",
    "=",
    "=1e999",
    "=nan",
    "|",
    "<unk>",
    "</s>",
    "\\data\\",
    "\\end\\",
    "\x1b[31m",
    "\u202e",
    "\u2028",
    "ß",
    "漢字",
    "é",
    "👍🏽",
    "x" * 10_000,
)


def make(random: Random) -> Mutant:
    """Mutate the words, the lines, the numbers or the bytes of a list."""
    name = random.choice((*_TEXTS, "arpa", "arpa"))
    text = _arpa() if name == "arpa" else _TEXTS[name]
    change = random.choice(("bytes", "bytes", "words", "words", "lines", "encoding"))
    if change == "bytes":
        content, change = mutate_bytes(random, text.encode(), header=random.choice((60, len(text))))
    elif change == "encoding":
        change = random.choice(("utf-16", "utf-8-sig", "utf-16-le", "utf-32", "cp1252", "shift_jis"))
        content = text.encode(change, errors="replace")
    else:
        content = (_change_words if change == "words" else _change_lines)(random, text).encode()
    return Mutant(files={name: content}, note=f"{name}: {change}")


def attempt(folder: Path) -> None:
    """Use the list as its command does."""
    (path,) = folder.iterdir()
    if path.name == "align":
        _recognizer().align(_NOISE, read_text_file(path))
    elif path.name == "transcripts.tsv":
        read_transcripts([folder / "a.wav", folder / "b.wav"])
    elif path.name == "sentences":
        _build(path)
    else:
        parser = argparse.ArgumentParser()
        add_decoding(parser)
        option = {"arpa": "--lm"}.get(path.name, f"--{path.name}")
        recognizer, options = _recognizer(), parser.parse_args([option, os.fspath(path)])
        recognizer.transcribe(_NOISE, decoder=decoder_of(options, recognizer.decoders))


def _build(path: Path) -> None:
    """Build language models of words and of characters, which KenLM can open."""
    parser = argparse.ArgumentParser()
    lm.add_arguments(parser)
    for level in ("word", "character"):
        arpa = path.with_name(f"{level}.arpa")
        arguments = ["build", path, "--model", SEEDS / "tiny", "--level", level, "-o", arpa]
        lm.run(parser.parse_args(list(map(os.fspath, arguments))))
        try:
            KenlmModel(arpa)
        except LanguageModelError as error:
            raise AssertionError(f"KenLM does not open what was built: {error}") from error


def _change_words(random: Random, text: str) -> str:
    words = text.split(" ")
    for _ in range(random.choice((1, 1, 3))):
        number = random.choice(
            ("-", "", "-1", "1e400", "nan", "-inf", str(random.choice(NUMBERS)), "9" * 400)
        )
        words[random.randrange(len(words))] = random.choice((number, random.choice(_PIECES)))
    return " ".join(words)


def _change_lines(random: Random, text: str) -> str:
    lines = text.split("\n")
    number = random.randrange(len(lines))
    line = random.choice(
        (None, lines[number], random.choice(lines), *_PIECES, lines[number].replace("\t", " "))
    )
    lines[number : number + random.choice((0, 1))] = [] if line is None else [line]
    return random.choice(("\n", "\n", "\r\n", "\r")).join(lines)


@cache
def _recognizer() -> sewd_runtime.Recognizer:
    return sewd_runtime.Recognizer.load(SEEDS / "tiny", threads=1)


@cache
def _arpa() -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "words.arpa")
        write_arpa(estimate([sentence.split() for sentence in _SENTENCES], order=3), path)
        return path.read_text(encoding="utf-8")
