"""The document of an evaluation as one HTML file that needs nothing else; its plots need matplotlib."""

import base64
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from sewd_runtime.evaluation.counting import align_words
from sewd_runtime.evaluation.measuring import worst
from sewd_runtime.evaluation.report import headline, system_rows
from sewd_runtime.system.packages import find_matplotlib

EXTRA = "evaluate"
_WORST = 25
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem; border-bottom: 1px solid #ddd; }
img { max-width: 100%; }
del { color: #b00020; } ins { color: #00639b; }
"""


def as_page(document: Mapping[str, Any]) -> str:
    """Return the HTML. Raises MissingPackageError without matplotlib."""
    title = f"Evaluation of {document['systems'][0]['name']}"
    page = "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            f"<p>{escape(headline(document))}. {escape(document['method'])} (Bisani and Ney, 2004). "
            f"Decoding: {escape(document['decoder'])}.</p>",
            *_table(system_rows(document)),
            f'<img alt="Error rates with intervals, and wrong words by utterance" src="{_plots(document)}">',
            *(line for system in document["systems"] for line in _details(document, system)),
            "</body></html>",
            "",
        ]
    )
    return page.encode(errors="backslashreplace").decode()  # a file's name may not be text


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table; the first row has the titles."""
    yield "<table>"
    yield _row(rows[0], "th")
    yield from (_row(map(escape, row), "td") for row in rows[1:])
    yield "</table>"


def _row(cells: Iterable[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>"


def _details(document: Mapping[str, Any], system: Mapping[str, Any]) -> Iterator[str]:
    """Yield the worst utterances and the confusions of one system."""
    name = system["name"]
    yield f"<h2>{escape(name)}</h2>"
    if not system["confusions"]:
        yield "<p>No word is wrong.</p>"
        return
    yield "<h3>Worst utterances</h3><p>What was said and left out is <del>struck out</del>, "
    yield "what was written in its place or inserted is <ins>underlined</ins>.</p><table>"
    yield _row(("utterance", "wrong", "words", "text"), "th")
    for row in worst(document, name, _WORST):
        text = row["systems"][name]
        marked = _marked(row["reference"]["compared"], text["compared"])
        yield _row((escape(row["name"]), str(text["wrong_words"]), str(row["words"]), marked), "td")
    yield "</table><h3>Most frequent confusions</h3>"
    confusions = [(pair["reference"], pair["text"], str(pair["count"])) for pair in system["confusions"]]
    yield from _table([("said", "wrote", "times"), *confusions])


def _marked(reference: str, text: str) -> str:
    parts = []
    for said, heard in align_words(reference, text):
        if said == heard:
            parts.append(escape(said))
            continue
        parts += [f"<del>{escape(said)}</del>"] if said else []
        parts += [f"<ins>{escape(heard)}</ins>"] if heard else []
    return " ".join(parts)


def _plots(document: Mapping[str, Any]) -> str:
    """Return a figure as a data address: rates with intervals, and how many words of utterances are wrong."""
    systems = document["systems"]
    figure = find_matplotlib(EXTRA)(figsize=(11, 2.5 + 0.4 * len(systems)), layout="constrained")
    rates, spread = figure.subplots(1, 2)
    for place, system in enumerate(systems):
        for kind, colour, shift in (("wer", "C0", -0.12), ("cer", "C1", 0.12)):
            rate, low, high = (100 * system[kind][key] for key in ("rate", "low", "high"))
            label = kind.upper() if place == 0 else None
            rates.plot([low, high], [place + shift] * 2, color=colour)
            rates.plot([rate], [place + shift], "o", color=colour, label=label)
        wrong = [row["systems"][system["name"]]["wrong_words"] for row in document["transcripts"]]
        shares = sorted(
            100 * number / max(1, row["words"])
            for number, row in zip(wrong, document["transcripts"], strict=True)
        )
        ranks = [100 * (index + 1) / len(shares) for index in range(len(shares))]
        spread.step(shares, ranks, where="post", label=system["name"])
    rates.set_yticks(range(len(systems)), [system["name"] for system in systems])
    rates.set(xlabel="errors, % (95 % interval)", xlim=(-0.1, None), ylim=(len(systems) - 0.5, -0.5))
    spread.set(
        xlabel="wrong words of an utterance, %, at most",
        ylabel="utterances, %",
        xlim=(-1, None),
        ylim=(0, 101),
    )
    for axes in (rates, spread):
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize="small")
    content = io.BytesIO()
    figure.savefig(content, format="svg")
    return f"data:image/svg+xml;base64,{base64.b64encode(content.getvalue()).decode()}"
