"""ARPA files: n-grams with their probabilities and back-off weights, as logarithms to base 10."""

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from sewd_runtime.decode.lm.kneser_ney import BEGIN, Gram, Ngrams
from sewd_runtime.errors import LanguageModelError
from sewd_runtime.system.writing import whole_file

_NEVER = -99.0
"""Stands for the logarithm of 0."""

_COUNT = re.compile(rb"ngram\s+([0-9]{1,2})\s*=\s*([0-9]{1,18})\s*")


def write_arpa(ngrams: Ngrams, path: Path) -> None:
    """Write a model to a file; raises OSError."""
    orders = [dict(grams) for grams in ngrams.probabilities]
    orders[0] = {(BEGIN,): 0.0, **orders[0]}
    with whole_file(path) as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {order}={len(grams)}\n" for order, grams in enumerate(orders, 1))
        for order, grams in enumerate(orders, 1):
            file.write(f"\n\\{order}-grams:\n")
            for gram, probability in sorted(grams.items()):
                back_off = _back_off(ngrams, gram, len(orders))
                file.write(f"{_log_10(probability):.7f}\t{' '.join(gram)}{back_off}\n")
        file.write("\n\\end\\\n")


def _back_off(ngrams: Ngrams, gram: Gram, longest: int) -> str:
    """Return the column of the back-off weight; the longest n-grams have none."""
    return "" if len(gram) == longest else f"\t{_log_10(ngrams.back_offs.get(gram, 1.0)):.7f}"


def _log_10(probability: float) -> float:
    return math.log10(probability) if probability > 0 else _NEVER


def check_arpa(lines: Iterable[bytes], where: str) -> None:
    """Raise LanguageModelError if this is not a whole ARPA file, which KenLM may not survive.

    The counts of the header are those of the sections, and each line has a finite probability, the words of
    its order and, except in the last section, perhaps a back-off weight.
    """
    numbered = enumerate(lines, 1)
    counts = _read_counts(numbered, where)
    for order, count in enumerate(counts, 1):
        number, line = _next_line(numbered)
        if line != b"\\%d-grams:" % order:
            raise _broken(where, number, f"\\{order}-grams: must follow here")
        _check_section(numbered, where, order, count, is_last=order == len(counts))
    number, line = _next_line(numbered)
    if line != b"\\end\\":
        raise _broken(where, number, "\\end\\ must follow here")


def _read_counts(numbered: Iterator[tuple[int, bytes]], where: str) -> list[int]:
    """Return the number of n-grams of each order from the header, up to the empty line after it."""
    number, line = _next_line(numbered)
    if line != b"\\data\\":
        raise LanguageModelError(
            f"{where}: not an ARPA file, which begins with \\data\\, nor a KenLM binary; "
            "`sewd lm build` makes a model from text"
        )
    counts: list[int] = []
    for number, line in numbered:
        if not line.strip():
            break
        match = _COUNT.fullmatch(line)
        if match is None or int(match[1]) != len(counts) + 1 or int(match[2]) < 1:
            raise _broken(where, number, f"'ngram {len(counts) + 1}=' and a number above 0 must follow here")
        counts.append(int(match[2]))
    if not counts:
        raise _broken(where, number, "no 'ngram' line follows \\data\\")
    return counts


def _check_section(
    numbered: Iterator[tuple[int, bytes]], where: str, order: int, count: int, *, is_last: bool
) -> None:
    lengths = (order + 1,) if is_last else (order + 1, order + 2)
    for _ in range(count):
        number, line = next(numbered, (0, b""))
        columns = line.split()
        try:
            weights = [float(columns[0]), *map(float, columns[order + 1 :])]
            is_right = len(columns) in lengths and all(map(math.isfinite, weights)) and b"\0" not in line
        except (ValueError, IndexError):
            is_right = False
        if not is_right:
            raise _broken(where, number, f"no {order}-gram, and the header counts {count} of them")


def _next_line(numbered: Iterator[tuple[int, bytes]]) -> tuple[int, bytes]:
    """Return the next line that is not empty, and its number."""
    found = next(((number, line.strip()) for number, line in numbered if line.strip()), None)
    return found or (0, b"")


def _broken(where: str, number: int, fault: str) -> LanguageModelError:
    place = f"line {number}" if number else "the end of the file"
    return LanguageModelError(f"{where}: a broken ARPA file, {place}: {fault}; build or copy it again")
