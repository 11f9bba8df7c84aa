"""ARPA files: n-grams with their probabilities and back-off weights, in decades."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TextIO

from sewd_runtime.decode.lm.kneser_ney import BEGIN, Gram, Ngrams

_NEVER = -99.0
"""What stands for the logarithm of 0."""


def write_arpa(ngrams: Ngrams, path: Path) -> None:
    """Write a model beside ``path``, then rename it."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            _write(ngrams, file)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write(ngrams: Ngrams, file: TextIO) -> None:
    orders = [dict(found) for found in ngrams.probabilities]
    orders[0] = {(BEGIN,): 0.0, **orders[0]}
    file.write("\\data\\\n")
    file.writelines(f"ngram {order}={len(found)}\n" for order, found in enumerate(orders, 1))
    for order, found in enumerate(orders, 1):
        file.write(f"\n\\{order}-grams:\n")
        for gram, probability in sorted(found.items()):
            file.write(
                f"{_decades(probability):.7f}\t{' '.join(gram)}{_back_off(ngrams, gram, len(orders))}\n"
            )
    file.write("\n\\end\\\n")


def _back_off(ngrams: Ngrams, gram: Gram, longest: int) -> str:
    """Return the column of the back-off weight, which the longest n-grams lack."""
    return "" if len(gram) == longest else f"\t{_decades(ngrams.back_offs.get(gram, 1.0)):.7f}"


def _decades(probability: float) -> float:
    return math.log10(probability) if probability > 0 else _NEVER
