"""A section of docs/accuracy.md: measured once, kept as JSON, written as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section.

    name: of the section on the command line, and in the name of its JSON. title: its heading.
    measure: folder of the shared recordings → figures as JSON. lines: these figures → lines of Markdown.
    """

    name: str
    title: str
    measure: Callable[[Path], Mapping[str, Any]]
    lines: Callable[[Mapping[str, Any]], Iterator[str]]
