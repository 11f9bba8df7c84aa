"""Measure sections of docs/accuracy.md, then write the document from all results."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks import machine, results
from benchmarks.accuracy import confidence, decoding, long_audio, plots, precisions, streaming, times
from benchmarks.accuracy.sections import Section

SECTIONS: Mapping[str, Section] = {
    section.name: section
    for section in (
        precisions.SECTION,
        times.SECTION,
        confidence.SECTION,
        decoding.SECTION,
        long_audio.SECTION,
        streaming.SECTION,
    )
}
"""In the order of the document."""

ENGLISH = Path(__file__).with_name("english.md")
"""What was learnt from the English model, which was removed."""
HEAD = """\
# Accuracy

Written by `make accuracy` from `benchmarks/results/accuracy_*.json`.
The model is the embedded digits model in float32, one thread, unless a section says otherwise.
"""


def document(folder: Path) -> Iterator[str]:
    """Yield the lines of docs/accuracy.md: every section with results, and the command that measures it."""
    yield HEAD
    for section in SECTIONS.values():
        content = results.read(folder / f"accuracy_{section.name}.json")
        if content is not None:
            yield f"## {section.title}\n"
            yield f"`make accuracy ACCURACY={section.name}`\n"
            yield from section.lines(content["figures"])
            yield ""
    yield ENGLISH.read_text(encoding="utf-8")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help="of " + ", ".join(SECTIONS))
    parser.add_argument("--speech", type=Path, default=results.SPEECH)
    parser.add_argument("--results", type=Path, default=results.RESULTS)
    parser.add_argument("--document", type=Path, default=results.ROOT / "docs/accuracy.md")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"{', '.join(unknown)}: choose from {', '.join(SECTIONS)}")
    for name in arguments.sections or SECTIONS:
        figures = SECTIONS[name].measure(arguments.speech)
        path = arguments.results / f"accuracy_{name}.json"
        results.write(path, {"section": name, "machine": machine.describe(), "figures": figures})
        print(f"wrote {path}", flush=True)
    plots.write(arguments.results)
    arguments.document.write_text("\n".join(document(arguments.results)), encoding="utf-8")


if __name__ == "__main__":
    main()
