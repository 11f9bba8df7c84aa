"""Progress for people who wait: of a list, or of one long recording."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
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


def show_position(
    items: Iterable[Item],
    *,
    position_s: Callable[[Item], float],
    duration_s: float | None,
    begin_s: float = 0.0,
    now_s: Callable[[], float] = time.monotonic,
) -> Iterator[Item]:
    """Yield the items, with a line of how far into a recording they are; only on a terminal.

    duration_s: of the recording, None where nobody knows. begin_s: what lies before was done another time,
    and says nothing of the speed.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    start_s = now_s()
    try:
        for item in items:
            at_s = position_s(item)
            speed = max(0.0, at_s - begin_s) / max(now_s() - start_s, 1e-3)
            _write(f"{_CLEAR_LINE}{_place(at_s, duration_s)}, {speed:.0f}x real time")
            yield item
    finally:
        _write(_CLEAR_LINE)


def clock_time(seconds: float) -> str:
    """Write seconds as hours, minutes and seconds: 1:02:03."""
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{second:02}"


def _place(at_s: float, duration_s: float | None) -> str:
    if not duration_s:
        return clock_time(at_s)
    share = min(1.0, at_s / duration_s)
    bar = f"[{'#' * int(_WIDTH * share):<{_WIDTH}}]"
    return f"{bar} {share:4.0%} {clock_time(at_s)} of {clock_time(duration_s)}"
