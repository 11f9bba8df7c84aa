"""The section "Under load" of docs/serving.md: printed, or with `--write` put into the document."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.markdown import replace_section, table
from benchmarks.results import RESULTS, ROOT, read

_REMARK = (
    "Whisper hears any English, the digits model ten words. "
    "A stream keeps up if it is answered within half a second."
)
DOCUMENT = ROOT / "docs/serving.md"
Results = Mapping[str, Any]


def section(content: Results) -> str:
    """Return the tables of a run, without those that were not measured."""
    parts = (_throughput(content), _idle(content), _live(content), _soak(content))
    return "\n".join(line for part in parts for line in part)


def _throughput(content: Results) -> Iterator[str]:
    for name, title in (
        ("throughput", "The digits model, int8, beside other libraries behind an app of the same interface"),
        ("larger", "SEW-D-tiny's dimensions, int8, random weights"),
    ):
        rows = content.get(name)
        if not rows:
            continue
        raw = rows[0]["speed"]
        rounds = len(rows[0]["speeds"])
        yield f"{title}. Clips of 1 to 30 s, 64 clients; medians of {rounds} rounds in turns:\n"
        head = [
            "",
            "seconds of speech a second",
            "of `transcribe_batch`",
            "requests/s",
            "p50",
            "p99",
            "errors",
        ]
        yield from table(
            [*head, "WER"] if name == "throughput" else head, (_row(row, raw, name) for row in rows)
        )
        yield ""


def _row(row: Results, raw: float, section_name: str) -> list[str]:
    times = ["" if row[key] is None else f"{row[key]:.2f} s" for key in ("p50_s", "p99_s")]
    cells = [
        row["name"],
        f"{row['speed']:.0f}",
        f"{row['speed'] / raw:.2f}",
        f"{row['requests_s']:.1f}",
        *times,
    ]
    low, high = row["interval"]
    wer = [f"{row['wer']:.1f} % ({low:.1f} to {high:.1f})"] if section_name == "throughput" else []
    return [*cells, str(row["errors"]), *wer]


def _idle(content: Results) -> Iterator[str]:
    idle = content.get("idle")
    if not idle:
        return
    overhead, fairness = idle["overhead"], idle["fairness"]
    yield from table(
        ["the digits model, int8", ""],
        [
            ["ready after", f"{idle['start_s']:.1f} s"],
            ["memory when idle", f"{idle['idle_mb']} MB"],
            ["memory with 64 uploads at once", f"{idle['busy_mb']} MB"],
            [
                f"added to a request of {overhead['clip_s']:.0f} s: p50, p99",
                f"{overhead['p50_ms']:.1f} ms, {overhead['p99_ms']:.1f} ms",
            ],
            ["a clip of 30 s, alone", f"{fairness['half_minute_s']:.2f} s"],
            [
                "a clip of 1 s while four of 40 minutes run: p95",
                f"{fairness['short_p95_s']:.2f} s",
            ],
        ],
    )
    yield ""


def _live(content: Results) -> Iterator[str]:
    rows = content.get("live")
    if not rows:
        return
    yield (
        "Live streams, spoken in real time in packets of 40 ms. Lag: from the arrival of audio to the words "
        "that it completed; the end: from the commit to its answer.\n"
    )
    names = {"digits": "digits", "larger": "SEW-D-tiny's dimensions"}
    yield from table(
        ["model, int8", "`--chunk`", "streams", "lag, p95", "end, p95", "kept up"],
        [
            [
                names[row["model"]],
                row["chunk_s"],
                str(row["streams"]),
                f"≤ {row['lag_p95_s']:.2g} s" if row.get("lag_p95_s") is not None else "",
                "" if row["end_p95_s"] is None else f"{row['end_p95_s']:.2f} s",
                "yes" if row["kept_up"] else "no",
            ]
            for row in rows
        ],
    )
    yield ""


def _soak(content: Results) -> Iterator[str]:
    soak = content.get("soak")
    if soak:
        load = f"{soak['minutes']:.0f} minutes of mixed load: {soak['requests']:,} requests"
        quarters = ", ".join(map(str, soak.get("quarters_mb", ())))
        memory = f"memory at most {soak['peak_mb']} MB"
        memory += f", by quarters {quarters}" if quarters else ""
        memory += f", growth after the warm-up {soak['growth_percent']:+.1f} %"
        yield f"{load}, {soak['errors']} errors, {memory}.\n"


def main() -> None:
    """Print the section, or write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.report", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/serving.md")
    arguments = parser.parse_args()
    content = read(RESULTS / "serving.json")
    if content is None:
        parser.error("there are no results; run make bench-serve")
    machine = content["machine"]
    place = f"{machine['processor']}, {machine['cores']} cores, which the clients share."
    text = f"{section(content)}\n{place} {_REMARK}\n"
    if not arguments.write:
        print(text)
        return
    document = DOCUMENT.read_text(encoding="utf-8")
    document = replace_section(document, "load", text, command="make bench-serve")
    DOCUMENT.write_text(document, encoding="utf-8")


if __name__ == "__main__":
    main()
