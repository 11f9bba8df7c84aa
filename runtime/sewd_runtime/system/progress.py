"""Progress on standard error, of a list or of one long recording; only on a terminal."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import TypeVar

from sewd_runtime.system.terminal import CLEAR_LINE, can_redraw

Item = TypeVar("Item")

_MIN_ITEMS = 10
_WIDTH = 30


def show_progress(
    items: Iterable[Item], *, total: int, now_s: Callable[[], float] = time.monotonic
) -> Iterator[Item]:
    """Yield the items, with a bar of how many are done, how fast, and the time left; for 10 or more."""
    if total < _MIN_ITEMS:
        return iter(items)
    numbers, start_s = count(1), now_s()

    def line(_: Item) -> str:
        number = next(numbers)
        speed = number / max(now_s() - start_s, 1e-3)
        left = clock_time((total - number) / speed)
        return f"{_bar(number / total)} {number}/{total}, {speed:.3g} a second, {left} left"

    return _redraw(items, line)


def show_position(
    items: Iterable[Item],
    *,
    position_s: Callable[[Item], float],
    duration_s: float | None,
    begin_s: float = 0.0,
    now_s: Callable[[], float] = time.monotonic,
) -> Iterator[Item]:
    """Yield the items, with a line of how far into a recording they are, how fast, and the time left.

    duration_s: of the recording; None: unknown. begin_s: what lies before was done in an earlier run, so it
    does not count for the speed.
    """
    start_s = now_s()

    def line(item: Item) -> str:
        at_s = position_s(item)
        speed = max(0.0, at_s - begin_s) / max(now_s() - start_s, 1e-3)
        position, left = clock_time(at_s), ""
        if duration_s:
            share = min(1.0, at_s / duration_s)
            position = f"{_bar(share)} {share:4.0%} {position} of {clock_time(duration_s)}"
            left = f", {clock_time(max(0.0, duration_s - at_s) / speed)} left" if speed else ""
        return f"{position}, {speed:.0f}x real time{left}"

    return _redraw(items, line)


def clock_time(seconds: float) -> str:
    """Return seconds as hours, minutes and seconds: 1:02:03."""
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{second:02}"


def _redraw(items: Iterable[Item], line: Callable[[Item], str]) -> Iterator[Item]:
    """Yield the items; after each, draw its line below what the caller printed about it."""
    if not can_redraw(sys.stderr):
        yield from items
        return
    try:
        for item in items:
            _write(CLEAR_LINE)
            yield item
            _write(f"{CLEAR_LINE}{line(item)}")
    finally:
        _write(CLEAR_LINE)


def _bar(share: float) -> str:
    return f"[{'#' * int(_WIDTH * share):<{_WIDTH}}]"


def _write(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)
