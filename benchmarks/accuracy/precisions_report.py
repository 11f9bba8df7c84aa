"""The tables of ``precisions``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

HEAD = """\
Each precision on each set, greedy, one utterance at a time, one thread. In brackets the 95 % interval, by a
bootstrap over utterances; the difference is paired, utterance by utterance, with float32. Changed are the
words that differ from float32's, right or wrong. Noise is pink, its level below each utterance's mean power;
the telephone is 8 kHz, 300 to 3,400 Hz. Speed is seconds of speech in a second, the variants in turns, the
median over the utterances.

![errors against speed](../benchmarks/results/accuracy_speed.svg)
"""


def lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the tables, model by model and set by set."""
    yield HEAD
    for model, sets in figures.items():
        for name, found in sets.items():
            yield f"### {model}: {name}\n"
            yield from _lines_of_set(found)


def _lines_of_set(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['utterances']} utterances, {found['words']} words, {found['minutes']:g} minutes.\n"
    yield "| | words wrong | characters wrong | difference | words changed | texts equal | speed |"
    yield "|---|---|---|---|---|---|---|"
    for name, row in found["variants"].items():
        yield (
            f"| {name} | {row['wer']:.2f} % {_interval(row['interval'])} | {row['cer']:.2f} % | "
            f"{row['difference']:+.2f} {_interval(row['difference_interval'], '+.2f')} | "
            f"{row['words_changed']:.2f} % | {row['texts_equal']:.1f} % | "
            f"{row['times_real_time']:.0f}x |"
        )
    yield f"\nIn batches of 16: {_batches(found['variants'])}.\n"
    conditions = found["distorted"]
    yield "| words wrong | " + " | ".join(conditions) + " |"
    yield "|---|" + "---|" * len(conditions)
    for name in next(iter(conditions.values())):
        yield f"| {name} | " + " | ".join(f"{one[name]:.2f} %" for one in conditions.values()) + " |"
    yield "\nThe worst of float32, clean:\n"
    for one in found["worst"]:
        yield f"- {one['said']} → {one['heard'] or '(nothing)'}"
    yield ""


def _batches(variants: Mapping[str, Any]) -> str:
    differ = {name: row["batches_differ"] for name, row in variants.items() if row["batches_differ"]}
    if not differ:
        return "the same texts, of every precision"
    return "other texts " + ", ".join(f"of {count} by {name}" for name, count in differ.items())


def _interval(bounds: tuple[float, float], form: str = ".2f") -> str:
    return f"({bounds[0]:{form}} to {bounds[1]:{form}})"
