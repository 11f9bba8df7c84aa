"""ARPA files: n-grams with their probabilities and back-off weights, as logarithms to base 10."""

import math
from pathlib import Path
from typing import TextIO

from sewd_runtime.decode.lm.kneser_ney import BEGIN, Gram, Ngrams

_NEVER = -99.0
"""Stands for the logarithm of 0."""


def write_arpa(ngrams: Ngrams, path: Path) -> None:
    """Write a model to a temporary file, then rename it to ``path``."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            _write(ngrams, file)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write(ngrams: Ngrams, file: TextIO) -> None:
    orders = [dict(grams) for grams in ngrams.probabilities]
    orders[0] = {(BEGIN,): 0.0, **orders[0]}
    file.write("\\data\\\n")
    file.writelines(f"ngram {order}={len(grams)}\n" for order, grams in enumerate(orders, 1))
    for order, grams in enumerate(orders, 1):
        file.write(f"\n\\{order}-grams:\n")
        for gram, probability in sorted(grams.items()):
            file.write(
                f"{_log_10(probability):.7f}\t{' '.join(gram)}{_back_off(ngrams, gram, len(orders))}\n"
            )
    file.write("\n\\end\\\n")


def _back_off(ngrams: Ngrams, gram: Gram, longest: int) -> str:
    """Return the column of the back-off weight; the longest n-grams have none."""
    return "" if len(gram) == longest else f"\t{_log_10(ngrams.back_offs.get(gram, 1.0)):.7f}"


def _log_10(probability: float) -> float:
    return math.log10(probability) if probability > 0 else _NEVER
