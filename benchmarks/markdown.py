"""Tables of the generated documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table; a row shorter than the head ends in empty cells."""
    yield _line(head)
    yield "|" + "---|" * len(head)
    yield from (_line([*row, *[""] * (len(head) - len(row))]) for row in rows)


def _line(cells: Iterable[str]) -> str:
    return "".join(f"| {cell} " if cell else "| " for cell in cells) + "|"


def replace_section(text: str, name: str, section: str, *, command: str = "make bench") -> str:
    """Return a document with the section between the markers of this name replaced."""
    begin, end = f"<!-- {name}: written by `{command}` -->\n", f"<!-- {name}: end -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the document has no {begin.strip()} ... {end}")
    return f"{before}{begin}\n{section}\n{end}{after}"
