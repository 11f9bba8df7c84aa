"""The decoder and its options, for the commands that decode."""

import argparse
from pathlib import Path
from typing import Any

from sewd_runtime.bundle.manifest import Manifest
from sewd_runtime.commands._command import parse_count, parse_number
from sewd_runtime.decode import DECODERS, Decoder, Greedy
from sewd_runtime.decode.bundled import BundleDecoders
from sewd_runtime.errors import HotwordError, LanguageModelError
from sewd_runtime.system.hashing import sha256_of
from sewd_runtime.text.files import read_text_file

_OF_BEAM = {
    "beam_width": "width",
    "lm": "lm",
    "lm_level": "lm_level",
    "alpha": "alpha",
    "beta": "beta",
    "unknown_score": "unknown_score",
    "lexicon": "lexicon",
    "hotword": "hotwords",
    "hotwords": "hotwords",
    "n_best": "alternatives",
}
"""Option of the command → field of BeamSearch."""

_OF_LM = ("lm_level", "alpha", "beta", "unknown_score")


def add_decoding(command: argparse.ArgumentParser, *, n_best: bool = False) -> None:
    """Add ``--decoder`` and its options; n_best: ``--n-best`` too, for a command that writes alternatives."""
    text = (
        "Any option but --decoder implies --decoder beam, which uses the language model of the bundle if it "
        "has one."
    )
    group = command.add_argument_group("decoding", text)
    add = group.add_argument
    text = "(default: beam if the language model of the bundle lowered its word error rate, else greedy)"
    add("--decoder", choices=tuple(DECODERS), help=text)
    add("--beam-width", type=parse_count, metavar="N", help="prefixes to keep (default: 32)")
    add("--lm", type=Path, metavar="FILE", help="n-gram language model, ARPA or KenLM binary")
    text = "decode without the language model of the bundle: greedily, unless another option asks for beam"
    add("--no-lm", action="store_true", help=text)
    add("--lm-level", choices=("word", "character"), help="the units of the language model (default: word)")
    add(
        "--alpha",
        type=parse_number,
        metavar="X",
        help="weight of the language model (default: the bundle's, or 0.5)",
    )
    add("--beta", type=parse_number, metavar="X", help="bonus per word (default: the bundle's, or 1)")
    text = "log-probability of a word that the language model lacks (default: the bundle's, or -10)"
    add("--unknown-score", type=parse_number, metavar="X", help=text)
    text = "lexicon: the only words that may be output, one per line"
    add("--lexicon", type=Path, metavar="FILE", help=text)
    text = 'boost a word or phrase, such as "Aachen=8"; may be repeated'
    add("--hotword", type=parse_hotword, action="append", metavar="TEXT=BONUS", help=text)
    add("--hotwords", type=Path, metavar="FILE", help="hotwords, one TEXT=BONUS per line")
    if n_best:
        text = "alternatives of each segment in the JSON (default: none)"
        add("--n-best", type=parse_count, metavar="N", help=text)


def parse_hotword(text: str) -> tuple[str, float]:
    """Read ``TEXT=BONUS``."""
    phrase, _, bonus = text.rpartition("=")
    try:
        pair = phrase.strip(), float(bonus)
    except ValueError:
        pair = "", 0.0
    if not pair[0]:
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is not TEXT=BONUS, such as Aachen=8")
    return pair


def check_decoding(options: argparse.Namespace) -> None:
    """Exit with wrong usage where the decoding options contradict one another."""
    given = list(_given(options))
    if options.decoder == "greedy" and given:
        options.error(f"{_flag(given[0])} needs --decoder beam")
    if options.lm is not None and options.no_lm:
        options.error("--lm and --no-lm contradict each other")
    if options.no_lm and (idle := [name for name in _OF_LM if name in given]):
        options.error(f"{_flag(idle[0])} needs a language model: leave out --no-lm")
    if options.lm is None and options.lm_level is not None:
        options.error("--lm-level needs --lm")
    if "n_best" in given and options.format != "json":
        options.error("--n-best needs --json")


def decoder_of(options: argparse.Namespace, decoders: BundleDecoders) -> Decoder:
    """Return the decoder that the options ask for, of the bundle's; raises SewdError, OSError."""
    given = _given(options)
    if options.decoder is None and not given and not options.no_lm:
        return decoders.default()
    if not _is_beam(options):
        return Greedy()
    fields: dict[str, Any] = {_OF_BEAM[name]: value for name, value in given.items()}
    level = fields.pop("lm_level", "word")
    if options.lm is not None:
        from sewd_runtime.decode.lm.model import KenlmModel

        fields["lm"] = KenlmModel(options.lm, level=level)
    elif options.no_lm:
        fields["lm"] = None
    elif not decoders.has_lm and (idle := [name for name in _OF_LM if name in given]):
        raise LanguageModelError(f"{_flag(idle[0])} needs --lm: the bundle has no language model")
    if options.lexicon is not None:
        fields["lexicon"] = frozenset(read_text_file(options.lexicon).split())
    if "hotwords" in fields:
        fields["hotwords"] = _read_hotwords(options)
    return decoders.beam_search(**fields)


def describe_decoding(options: argparse.Namespace, manifest: Manifest) -> str:
    """Return how the options decode with a bundle, files by their sha256: equal texts decode equally."""
    given, lm = _given(options), manifest.language_model
    if options.lm or options.no_lm or options.decoder == "greedy":
        lm = None
    is_beam = _is_beam(options) or (lm is not None and lm.default)
    texts = {"decoder": "beam" if is_beam else "greedy"}
    if is_beam and lm is not None:
        texts |= {"lm": manifest.files[lm.file].sha256}
        texts |= {name: f"{weight:g}" for name, weight in lm.weights.items()}
    for name, value in given.items():
        texts[name] = sha256_of(value) if isinstance(value, Path) else str(value)
    return " ".join(f"{_flag(name)}={text}" for name, text in texts.items())


def _is_beam(options: argparse.Namespace) -> bool:
    """Return whether the options ask for a beam search."""
    return options.decoder == "beam" or (options.decoder is None and bool(_given(options)))


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """Return the beam search options that were given."""
    return {name: value for name in _OF_BEAM if (value := getattr(options, name, None)) is not None}


def _read_hotwords(options: argparse.Namespace) -> dict[str, float]:
    pairs = []
    if options.hotwords is not None:
        for number, line in enumerate(read_text_file(options.hotwords).splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                pairs.append(_parse_line(line, f"{options.hotwords}:{number}"))
    return dict([*pairs, *(options.hotword or ())])


def _parse_line(line: str, where: str) -> tuple[str, float]:
    try:
        return parse_hotword(line)
    except argparse.ArgumentTypeError as error:
        raise HotwordError(f"{where}: {error}") from None


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
