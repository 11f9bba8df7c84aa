"""The tables of ``precisions``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.markdown import table

HEAD = """\
Each precision on each set, greedy, one utterance at a time, one thread. 95 % intervals in brackets, by
bootstrap over utterances; the difference from float32 is paired, utterance by utterance. Changed are the
words that differ from float32's, right or wrong. Noise is pink, its level relative to each utterance's mean
power; the telephone is 8 kHz, 300 to 3,400 Hz. Speed is seconds of speech per second, the variants in turns,
the median over the utterances.

![errors against speed](../benchmarks/results/accuracy_speed.svg)
"""


def lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the tables, set by set."""
    yield HEAD
    for name, found in figures.items():
        yield f"### {name[0].upper()}{name[1:]}\n"
        yield from _lines_of_set(found)


def _lines_of_set(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['utterances']} utterances, {found['words']} words, {found['minutes']:g} minutes.\n"
    head = ("", "WER", "CER", "difference", "words changed", "same transcripts", "speed")
    yield from table(head, (_cells(name, row) for name, row in found["variants"].items()))
    yield f"\nIn batches of 16: {_batches(found['variants'])}.\n"
    conditions = found["distorted"]
    names = next(iter(conditions.values()))
    rows = ((name, *(f"{one[name]:.2f} %" for one in conditions.values())) for name in names)
    yield from table(("WER", *conditions), rows)
    yield "\nThe worst errors of float32, clean:\n"
    for one in found["worst"]:
        yield f"- {one['said']} → {one['heard'] or '(nothing)'}"
    yield ""


def _cells(name: str, row: Mapping[str, Any]) -> list[str]:
    return [
        name,
        f"{row['wer']:.2f} % {_interval(row['interval'])}",
        f"{row['cer']:.2f} %",
        f"{row['difference']:+.2f} {_interval(row['difference_interval'], '+.2f')}",
        f"{row['words_changed']:.2f} %",
        f"{row['texts_equal']:.1f} %",
        f"{row['times_real_time']:.0f}x",
    ]


def _batches(variants: Mapping[str, Any]) -> str:
    differ = {name: row["batches_differ"] for name, row in variants.items() if row["batches_differ"]}
    if not differ:
        return "the same transcripts in every precision"
    return "other transcripts for " + ", ".join(f"{count} by {name}" for name, count in differ.items())


def _interval(bounds: tuple[float, float], form: str = ".2f") -> str:
    return f"({bounds[0]:{form}} to {bounds[1]:{form}})"
