"""``sewd lm``."""

import argparse
import sys
from itertools import chain
from pathlib import Path

from sewd_runtime.bundle.folder import find_bundle
from sewd_runtime.commands._command import DONE, WHICH_MODEL, add_command, parse_count, refuse_inputs
from sewd_runtime.decode.lm.arpa import write_arpa
from sewd_runtime.decode.lm.kneser_ney import UNKNOWN, estimate
from sewd_runtime.decode.lm.normalisation import sentences
from sewd_runtime.errors import LanguageModelError, TaskError
from sewd_runtime.recognizer import read_vocabulary
from sewd_runtime.system.terminal import printable
from sewd_runtime.text.files import read_text_file
from sewd_runtime.text.vocabulary import Vocabulary

HELP = "Build a language model from text."
EXAMPLES = """\
  sewd lm build sentences.txt -o words.arpa
  sewd lm build --level character --order 5 *.txt -o letters.arpa
"""

_BUILD = "Estimate an n-gram model (interpolated modified Kneser-Ney) from text, one sentence per line."
_MIN_ORDER = 2  # KenLM reads no unigram models


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = command.add_subparsers(required=True, metavar="ACTION")
    build = add_command(actions, "build", text=_BUILD, examples=EXAMPLES)
    group = build.add_argument_group("input")
    group.add_argument(
        "texts", nargs="+", type=Path, metavar="TEXT", help="a text file, one sentence per line"
    )
    group.add_argument("--model", metavar="BUNDLE", help=f"whose characters are used: {WHICH_MODEL}")
    group = build.add_argument_group("output")
    group.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the ARPA file")
    group = build.add_argument_group("language model")
    group.add_argument(
        "--order", type=_parse_order, default=3, metavar="N", help="longest n-gram (default: 3)"
    )
    group.add_argument("--level", choices=("word", "character"), default="word", help="(default: word)")


def run(options: argparse.Namespace) -> int:
    """Build the model and return the exit code."""
    refuse_inputs(options, [options.output])
    vocabulary = _load_vocabulary(options.model)
    lines = chain.from_iterable(read_text_file(path).splitlines() for path in options.texts)
    text = list(sentences(lines, vocabulary, characters=options.level == "character"))
    if not text:
        raise LanguageModelError(f"{options.texts[0]}: the text has no word that the model can write")
    units = sum(map(len, text))
    unknown = sum(sentence.count(UNKNOWN) for sentence in text)
    ngrams = estimate(text, order=options.order)
    write_arpa(ngrams, options.output)
    sizes = ", ".join(f"{len(grams)} {order}-grams" for order, grams in enumerate(ngrams.probabilities, 1))
    counts = f"{len(text)} sentences, {units} {options.level}s, {unknown} of them unknown: {sizes}"
    print(f"sewd: {printable(str(options.output))}: {counts}", file=sys.stderr)
    return DONE


def _parse_order(text: str) -> int:
    order = parse_count(text)
    if order < _MIN_ORDER:
        raise argparse.ArgumentTypeError(f"{text!r} is below {_MIN_ORDER}, which KenLM needs")
    return order


def _load_vocabulary(name: str | None) -> Vocabulary:
    bundle = find_bundle(name)
    if bundle.manifest.task != "ctc":
        raise TaskError(f"{bundle.path}: is for {bundle.manifest.task}, a language model needs ctc")
    return read_vocabulary(bundle)
