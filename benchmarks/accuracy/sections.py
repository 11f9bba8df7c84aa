"""What a section of docs/accuracy.md is: measured once, kept as JSON, written as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section.

    name: what `python -m benchmarks.accuracy` is asked for, and its JSON is called. title: its heading.
    measure: the folder of speech → plain figures. lines: these figures → the lines below the heading.
    """

    name: str
    title: str
    measure: Callable[[Path], Mapping[str, Any]]
    lines: Callable[[Mapping[str, Any]], Iterator[str]]
