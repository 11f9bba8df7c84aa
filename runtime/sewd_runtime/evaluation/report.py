"""The document of an evaluation as a table, for the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from sewd_runtime.evaluation.measuring import worst
from sewd_runtime.system.terminal import printable

_WORST, _CONFUSIONS = 5, 8


def as_table(document: Mapping[str, Any]) -> str:
    """Return the figures, the worst utterances and the most frequent confusions of the first system."""
    return "\n".join([*map(printable, _lines(document)), ""])


def headline(document: Mapping[str, Any]) -> str:
    """Return what was compared and how, on one line."""
    left_out = f" ({document['failed']} could not be read)" if document["failed"] else ""
    return (
        f"{document['utterances']} utterances{left_out}, {document['words']} words; "
        f"{document['normalisation']['rule']}"
    )


def percent(figures: Mapping[str, float], *, sign: str = "") -> str:
    """Return a rate with its interval."""
    rate, low, high = (f"{100 * figures[key]:{sign}.2f}" for key in ("rate", "low", "high"))
    return f"{rate} [{low}, {high}]"


def system_rows(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the table of systems: a row of titles, then one for each."""
    rows: list[tuple[str, ...]] = [
        ("system", "WER, %", "CER, %", "sub, del, ins", "RTFx", "WER, points more than")
    ]
    for system in document["systems"]:
        difference = system["difference"]
        rows.append(
            (
                system["name"],
                percent(system["wer"]),
                percent(system["cer"]),
                ", ".join(str(system[kind]) for kind in ("substitutions", "deletions", "insertions")),
                f"{system['rtfx']:.0f}" if "rtfx" in system else "",
                f"{percent(difference['wer'], sign='+')} {difference['against']}" if difference else "",
            )
        )
    return rows if any(row[-1] for row in rows[1:]) else [row[:-1] for row in rows]


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield headline(document)
    yield f"{document['method']}; {document['decoder']}"
    yield ""
    rows = system_rows(document)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, strict=True)
        yield "  ".join(f"{cell:<{width}}" for cell, width in cells).rstrip()
    system = document["systems"][0]
    name = system["name"]
    if utterances := worst(document, name, _WORST):
        yield ""
        yield f"worst utterances of {name}"
    for utterance in utterances:
        text = utterance["systems"][name]
        yield f"  {utterance['name']}: {text['wrong_words']} wrong of {utterance['words']} words"
        yield f"    said   {utterance['reference']['compared']}"
        yield f"    wrote  {text['compared']}"
    if system["confusions"]:
        yield ""
        yield "most frequent confusions, said > wrote"
    for pair in system["confusions"][:_CONFUSIONS]:
        yield f"  {pair['count']:>4}  {pair['reference'] or '(nothing)'} > {pair['text'] or '(nothing)'}"
