"""The language model in the manifest (docs/bundle.md is normative)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from sewd_runtime.bundle.schema import Amount, Count, Rule
from sewd_runtime.errors import BundlePathError

if TYPE_CHECKING:
    from sewd_runtime.bundle.manifest import Manifest

_NAME = re.compile(r"lm\.(bin|arpa(\.(gz|bz2|xz))?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModelEntry:
    """The n-gram model of words that a beam search uses, and its weights, as those of ``BeamSearch``.

    words: in the transcripts on which it was measured at export, 0 if it was not. greedy_wer, wer: the word
        error rate of the original's output on them, decoded greedily and with the language model.
    default: whether recordings are decoded with it unless another decoder is asked for.
    """

    file: Annotated[
        str,
        Rule(
            must="lm.arpa, lm.arpa.gz, .bz2 or .xz, or lm.bin", holds=_NAME.fullmatch, error=BundlePathError
        ),
    ]
    alpha: float
    beta: float
    unknown_score: float
    words: Count = 0
    greedy_wer: Amount | None = None
    wer: Amount | None = None
    default: bool = False

    @property
    def weights(self) -> dict[str, float]:
        """Its weights, by their names in ``BeamSearch``."""
        return {"alpha": self.alpha, "beta": self.beta, "unknown_score": self.unknown_score}

    @property
    def helps(self) -> bool:
        """Whether it lowered the word error rate; False if that was not measured."""
        return self.wer is not None and self.greedy_wer is not None and self.wer < self.greedy_wer

    def describe(self) -> str:
        """Return what was measured, and whether it is the default, in words."""
        if self.wer is None or self.greedy_wer is None:
            return "not measured, not used by default"
        rates = f"WER {self.greedy_wer:.2%} greedy, {self.wer:.2%} with it on {self.words} words"
        return f"{rates}, {'' if self.default else 'not '}used by default"


def check_language_model(manifest: "Manifest", demand: Callable[[bool, str], None]) -> None:
    """Check that the model writes words, and that the language model is the default only if it helps."""
    entry = manifest.language_model
    if entry is None:
        return
    is_spaced = manifest.ctc is not None and manifest.ctc.word_delimiter is not None
    demand(is_spaced, "language_model needs ctc.word_delimiter, because it is one of words")
    for key in ("greedy_wer", "wer"):
        is_number = getattr(entry, key) is not None
        kind = "a number" if entry.words else "null"
        demand(is_number == bool(entry.words), f"language_model.{key} must be {kind} for {entry.words} words")
    demand(
        entry.helps or not entry.default, "language_model.default must be false: wer is not below greedy_wer"
    )
