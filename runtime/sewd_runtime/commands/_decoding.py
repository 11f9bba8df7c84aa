"""How tokens are chosen: the decoder and its options, for every command that writes text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sewd_runtime.bundle.folder import sha256_of
from sewd_runtime.commands._shared import parse_count
from sewd_runtime.errors import HotwordError

if TYPE_CHECKING:
    from sewd_runtime.decode import Decoder

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
    """Add ``--decoder`` and what belongs to it; n_best: and what writes several readings."""
    group = command.add_argument_group("decoding (any option but --decoder implies beam)")
    group.add_argument("--decoder", choices=("greedy", "beam"), help="(default: greedy)")
    group.add_argument(
        "--beam-width", type=parse_count, metavar="N", help="prefixes that are kept (default: 32)"
    )
    group.add_argument("--lm", type=Path, metavar="FILE", help="n-gram model, ARPA or KenLM binary")
    group.add_argument("--lm-level", choices=("word", "character"), help="what it scores (default: word)")
    group.add_argument(
        "--alpha", type=float, metavar="X", help="weight of its log-probabilities (default: 0.5)"
    )
    group.add_argument("--beta", type=float, metavar="X", help="bonus for each word (default: 1)")
    group.add_argument(
        "--unknown-score", type=float, metavar="X", help="log-probability of a word it lacks (default: -10)"
    )
    group.add_argument("--lexicon", type=Path, metavar="FILE", help="the only words allowed, one a line")
    group.add_argument(
        "--hotword", type=parse_hotword, action="append", metavar="TEXT=BONUS", help='such as "Aachen=8"'
    )
    group.add_argument("--hotwords", type=Path, metavar="FILE", help="the same, one a line")
    if n_best:
        text = "readings in the JSON (default: none)"
        group.add_argument("--n-best", type=parse_count, metavar="N", help=text)


def parse_hotword(text: str) -> tuple[str, float]:
    """Read ``TEXT=BONUS``."""
    phrase, _, bonus = text.rpartition("=")
    try:
        pair = phrase.strip(), float(bonus)
    except ValueError:
        pair = "", 0.0
    if not pair[0]:
        raise argparse.ArgumentTypeError(f"{text!r} is not TEXT=BONUS, such as Aachen=8")
    return pair


def find_decoding_misuse(options: argparse.Namespace) -> str | None:
    """Return what is wrong with options that contradict one another."""
    given = list(_given(options))
    if options.decoder == "greedy" and given:
        return f"{_flag(given[0])} needs --decoder beam"
    if options.lm is None and (idle := [name for name in _OF_LM if name in given]):
        return f"{_flag(idle[0])} needs --lm"
    if "n_best" in given and options.format != "json":
        return "--n-best needs --format json"
    return None


def decoder_of(options: argparse.Namespace) -> Decoder:
    """Return the decoder that the options ask for. Raises SewdError, OSError."""
    from sewd_runtime.decode import BeamSearch, Greedy

    given = _given(options)
    if options.decoder == "greedy" or (options.decoder is None and not given):
        return Greedy()
    fields: dict[str, Any] = {_OF_BEAM[name]: value for name, value in given.items()}
    level = fields.pop("lm_level", "word")
    if options.lm is not None:
        from sewd_runtime.decode.lm.model import KenlmModel

        fields["lm"] = KenlmModel(options.lm, level=level)
    if options.lexicon is not None:
        fields["lexicon"] = frozenset(options.lexicon.read_text(encoding="utf-8").split())
    if "hotwords" in fields:
        fields["hotwords"] = _read_hotwords(options)
    return BeamSearch(**fields)


def describe_decoding(options: argparse.Namespace) -> str:
    """Return what was asked of the decoder, files by their sha256: what says the same decodes the same."""
    given = {**_given(options), "decoder": options.decoder}
    return " ".join(
        f"{_flag(name)}={sha256_of(value) if isinstance(value, Path) else value}"
        for name, value in given.items()
    )


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that belong to the beam search and were given."""
    return {name: value for name in _OF_BEAM if (value := getattr(options, name, None)) is not None}


def _read_hotwords(options: argparse.Namespace) -> dict[str, float]:
    pairs = []
    if options.hotwords is not None:
        for number, line in enumerate(options.hotwords.read_text(encoding="utf-8").splitlines(), 1):
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
