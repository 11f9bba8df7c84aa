"""Tables of the results: printed, or with `--write` put into the documents."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import results
from benchmarks.peers.models import COMPARISONS
from benchmarks.peers.prepare import ROOT

BEGIN, END = "<!-- peers: written by `make bench` -->\n", "<!-- peers: end -->"
SPEED, ACCURACY, CLAIM, LARGER = "tiny", "digits", "wav2vec2", "mid"
"""The comparisons that the README shows: speed of one, transcripts of the other, the paper's claim; and the
one that docs/peers.md shows."""
CLIP_S = 10.0
TIMES = "\N{MULTIPLICATION SIGN}"
MIN_TRANSCRIPTS_EQUAL = 0.97
MAX_WER_INCREASE = 0.001
"""What is called accurate, on the trained model."""

Results = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]


def row_of(content: Results, variant: str) -> Mapping[str, Any]:
    """Return a variant's row; empty where it was not in the run."""
    return results.find(content["variants"], name=variant) or {}


def is_accurate(accuracy: Results, variant: str) -> bool:
    """Tell whether a variant's transcripts on the trained model are as good as float32's."""
    errors = row_of(accuracy, variant).get("errors")
    if not errors or "wer" not in errors:
        return False
    return bool(
        errors["transcripts_equal"] >= MIN_TRANSCRIPTS_EQUAL and errors["wer_increase"] <= MAX_WER_INCREASE
    )


def _time(content: Results, variant: str, against: str, threads: int, clip_s: float) -> str:
    found = results.find(content["times"], variant=variant, threads=threads, clip_s=clip_s)
    if found is None:
        return ""
    ratio = _ratio(content, variant, against, threads, clip_s)
    return f"{found['median_s'] * 1000:.0f} ms" + f", {ratio}" * bool(ratio)


def _ratio(content: Results, variant: str, against: str, threads: int, clip_s: float) -> str:
    wanted = {"variant": variant, "against": against, "threads": threads, "clip_s": clip_s}
    found = results.find(content["ratios"], **wanted)
    return "" if found is None else _shown(found)


def _shown(ratio: Mapping[str, Any]) -> str:
    return "{median:.2f}{times} ({lower:.2f} to {upper:.2f})".format(times=TIMES, **ratio)


def _errors(content: Results, variant: str) -> list[str]:
    """Return the cells of a trained model: share of equal transcripts, word error rate."""
    errors = row_of(content, variant).get("errors") or {}
    if "wer" not in errors:
        return ["", ""]
    return [f"{errors['transcripts_equal']:.1%}", f"{errors['wer']:.2%}"]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def speed_table(speed: Results, accuracy: Results | None, *, clip_s: float, against: str) -> Iterator[str]:
    """Yield the lines of a table: a variant's times and ratios for one clip, and its errors."""
    threads = speed["settings"]["threads"]
    head = ["made by", "run by", "products in", *(f"{n} thread{'s' * (n > 1)}" for n in threads)]
    head += ["MB", "error of the logits"]
    head += ["texts equal", "WER"] if accuracy is not None else []
    yield _line(head)
    yield _line(["---"] * len(head))
    for row in speed["variants"]:
        made = f"**{row['made']}**" if row["ours"] else row["made"]
        cells = [made, row["runs"], row["precision"]]
        if "failed" in row:
            cells += [f"does not run: {row['failed']}"]
        else:
            cells += [_time(speed, row["name"], against, n, clip_s) for n in threads]
            cells += [f"{row['size_bytes'] / 1e6:.1f}", f"{row['errors']['relative_error']:.1e}"]
            cells += [] if accuracy is None else _errors(accuracy, row["name"])
        yield _line([*cells, *[""] * (len(head) - len(cells))])


def clip_tables(speed: Results, accuracy: Results | None) -> Iterator[str]:
    """Yield the lines of a table for each clip, under its length."""
    for clip_s in speed["settings"]["clips_s"]:
        yield f"{clip_s:g} s:\n"
        yield from speed_table(speed, accuracy, clip_s=clip_s, against="transformers")
        yield ""


def claim_lines(claim: Results) -> Iterator[str]:
    """Yield how many times as fast as wav2vec 2.0 base each SEW-D is, on the same engine."""
    head = ["", "engine", *(f"{c:g} s" for c in claim["settings"]["clips_s"])]
    for threads in claim["settings"]["threads"]:
        yield f"{threads} thread{'s' * (threads > 1)}:"
        yield ""
        yield _line(head)
        yield _line(["---"] * len(head))
        for row in claim["variants"]:
            against = f"wav2vec2-base {row['variant']}"
            if row["name"] == against or "failed" in row:
                continue
            ratios = [
                _ratio(claim, row["name"], against, threads, clip_s)
                for clip_s in claim["settings"]["clips_s"]
            ]
            yield _line([row["model"], row["runs"], *ratios])
        yield ""


def setting_line(content: Results) -> str:
    """Return what a reader must know to judge the figures."""
    machine, settings = content["machine"], content["settings"]
    packages = content["environments"]["main"]
    shown = ", ".join(f"{name} {packages[name]}" for name in ("torch", "transformers", "onnxruntime"))
    if "openvino" in content["environments"]:
        shown += f", openvino {content['environments']['openvino']['openvino']}"
    note = f" {content['note']}" if content["note"] else ""
    return (
        f"{machine['processor']}, {machine['cores']} cores ({', '.join(machine['instructions'])}); {shown}; "
        f"medians of {settings['rounds']} interleaved rounds, quartiles in brackets.{note}"
    )


def bars(speed: Results, accuracy: Results, *, clip_s: float = CLIP_S) -> Iterator[str]:
    """Yield the comparisons that the project holds itself to: ours against the peer it has to beat."""
    ours = [row["name"] for row in speed["variants"] if row["ours"] and "failed" not in row]
    peers = [row["name"] for row in speed["variants"] if not row["ours"] and "failed" not in row]
    for threads in speed["settings"]["threads"]:

        def median(name: str, threads: int = threads) -> float:
            found = results.find(speed["times"], variant=name, threads=threads, clip_s=clip_s)
            return float("inf") if found is None else float(found["median_s"])

        def ratio(name: str, against: str, threads: int = threads) -> str:
            series = [
                results.find(speed["times"], variant=one, threads=threads, clip_s=clip_s)
                for one in (against, name)
            ]
            if None in series:
                return "not measured"
            return _shown(results.ratios_of(*(one["seconds"] for one in series if one)))

        yield f"{clip_s:g} s, {threads} thread{'s' * (threads > 1)}:"
        for name, against in (
            ("sewd-fp32", "optimum"),
            ("sewd-int8", "optimum"),
            ("sewd-int8", "transformers"),
        ):
            if name in ours and against in peers:
                yield f"  {name} against {against}: {ratio(name, against)}"
        best = [
            min((name for name in names if is_accurate(accuracy, name)), key=median, default=None)
            for names in (ours, peers)
        ]
        if best[0] and best[1]:
            yield f"  best accurate {best[0]} against {best[1]}: {ratio(best[0], best[1])}"


def readme_section(folder: Path) -> str:
    """Return what stands between the README's markers."""
    speed, accuracy = results.read(folder, SPEED), results.read(folder, ACCURACY)
    if speed is None or accuracy is None:
        raise FileNotFoundError(f"{folder}: the README needs the results of {SPEED} and {ACCURACY}")
    speech = accuracy["settings"]["speech"]
    lines = [
        f"Times for {CLIP_S:g} s of speech, and how many times as fast as transformers: {speed['title']}.",
        f"Texts equal to float32's, and word error rate: the same variant of {accuracy['title']}, on "
        f"{speech['minutes']} minutes ({speech['source']}).",
        "",
        *speed_table(speed, accuracy, clip_s=CLIP_S, against="transformers"),
        "",
        setting_line(speed),
    ]
    claim = results.read(folder, CLAIM)
    if claim is not None:
        lines += [
            "",
            "How many times as fast as wav2vec 2.0 base SEW-D is, both run the same way (its paper says 1.9 "
            "times, with a 13.5 % lower WER):",
            "",
            *claim_lines(claim),
        ]
    return "\n".join(lines).rstrip() + "\n"


def larger_section(folder: Path) -> str:
    """Return what stands between the markers of docs/peers.md."""
    content = results.read(folder, LARGER)
    if content is None:
        raise FileNotFoundError(f"{folder}: docs/peers.md needs the results of {LARGER}")
    lines = [f"Times, and how many times as fast as transformers: {content['title']}.", ""]
    return "\n".join([*lines, *clip_tables(content, None), setting_line(content)]) + "\n"


def replace_section(text: str, section: str) -> str:
    """Return a document with the section between its markers replaced."""
    before, found, rest = text.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise ValueError(f"the document has no {BEGIN.strip()} ... {END}")
    return f"{before}{BEGIN}\n{section}\n{END}{after}"


def everything(folder: Path) -> Iterator[str]:
    """Yield every table of every comparison there is."""
    accuracy = results.read(folder, ACCURACY)
    for comparison in COMPARISONS.values():
        content = results.read(folder, comparison.name)
        if content is None:
            continue
        yield f"## {content['title']}\n"
        if comparison.baseline_model:
            yield from claim_lines(content)
            continue
        trained = accuracy if comparison.name == ACCURACY else None
        yield from clip_tables(content, trained)
        if accuracy is not None:
            yield from bars(content, accuracy)
        yield ""
        yield setting_line(content)
        yield ""


DOCUMENTS: Mapping[str, Callable[[Path], str]] = {
    "README.md": readme_section,
    "docs/peers.md": larger_section,
}
"""Document → what its generated section says."""


def main() -> None:
    """Print the tables, or write those of the documents."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers.report", description="Tables from the results."
    )
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results")
    parser.add_argument("--write", action="store_true", help="write README.md and docs/peers.md")
    arguments = parser.parse_args()
    if not arguments.write:
        print("\n".join(everything(arguments.results)))
        return
    for name, section_of in DOCUMENTS.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        replaced = replace_section(text, section_of(arguments.results))
        (ROOT / name).write_text(replaced, encoding="utf-8")


if __name__ == "__main__":
    main()
