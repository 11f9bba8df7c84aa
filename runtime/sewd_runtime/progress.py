"""A progress bar for people who wait."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_LONG = 10
_WIDTH = 30
_CLEAR_LINE = "\r\033[K"


def show_progress(items: Iterable[Item], *, total: int) -> Iterator[Item]:
    """Yield the items, with a bar below what is printed; only on a terminal, and only for a long list."""
    if total < _LONG or not sys.stderr.isatty():
        yield from items
        return
    try:
        _draw(0, total)
        for done, item in enumerate(items, start=1):
            _write(_CLEAR_LINE)  # makes room for what the caller prints about the item
            yield item
            _draw(done, total)
    finally:
        _write(_CLEAR_LINE)


def _draw(done: int, total: int) -> None:
    _write(f"{_CLEAR_LINE}[{'#' * (_WIDTH * done // total):<{_WIDTH}}] {done}/{total}")


def _write(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)
