"""``sewd lm``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from sewd_runtime.bundle.folder import find_bundle, open_bundle
from sewd_runtime.commands._shared import DONE, EXIT_CODES, WHICH_MODEL, parse_count
from sewd_runtime.decode.lm.arpa import write_arpa
from sewd_runtime.decode.lm.kneser_ney import UNKNOWN, estimate
from sewd_runtime.decode.lm.normalisation import sentences
from sewd_runtime.errors import LanguageModelError, TaskError
from sewd_runtime.recognizer import read_vocabulary
from sewd_runtime.text.vocabulary import Vocabulary

HELP = "Make a language model from text."
EPILOG = EXIT_CODES

_BUILD = "Estimate an n-gram model (interpolated modified Kneser-Ney) from text, a sentence a line."
_MIN_ORDER = 2  # KenLM reads no unigram models


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    build = command.add_subparsers(required=True, metavar="ACTION").add_parser(
        "build", help=_BUILD, description=_BUILD
    )
    build.add_argument("texts", nargs="+", type=Path, metavar="TEXT", help="UTF-8, a sentence a line")
    build.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the ARPA file")
    build.add_argument(
        "--order", type=_parse_order, default=3, metavar="N", help="longest n-gram (default: 3)"
    )
    build.add_argument("--level", choices=("word", "character"), default="word", help="(default: word)")
    build.add_argument("--model", metavar="BUNDLE", help=f"whose letters are used: {WHICH_MODEL}")


def run(options: argparse.Namespace) -> int:
    """Build the model and return the exit code."""
    vocabulary = _load_vocabulary(options.model)
    found = list(sentences(_lines(options.texts), vocabulary, characters=options.level == "character"))
    if not found:
        raise LanguageModelError(f"{options.texts[0]}: no word in the text that the model can write")
    units = sum(map(len, found))
    unknown = sum(sentence.count(UNKNOWN) for sentence in found)
    ngrams = estimate(found, order=options.order)
    write_arpa(ngrams, options.output)
    sizes = ", ".join(f"{len(grams)} {order}-grams" for order, grams in enumerate(ngrams.probabilities, 1))
    print(
        f"sewd: {options.output}: {len(found)} sentences, {units} {options.level}s, {unknown} of them "
        f"unknown: {sizes}",
        file=sys.stderr,
    )
    return DONE


def _parse_order(text: str) -> int:
    order = parse_count(text)
    if order < _MIN_ORDER:
        raise argparse.ArgumentTypeError(f"{text!r} is below {_MIN_ORDER}, which KenLM needs")
    return order


def _load_vocabulary(name: str | None) -> Vocabulary:
    bundle = open_bundle(find_bundle(name))
    if bundle.manifest.task != "ctc":
        raise TaskError(f"{bundle.path}: is for {bundle.manifest.task}, a language model needs ctc")
    return read_vocabulary(bundle)


def _lines(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        yield from _read(path).splitlines()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise LanguageModelError(f"{path}: not UTF-8 text at byte {error.start}; convert it") from error
