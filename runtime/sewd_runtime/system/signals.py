"""Ctrl-C and SIGTERM: both end a command in the same way."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any, TypeVar

Item = TypeVar("Item")


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM, unless the process handles or ignores that already."""
    is_free = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not (is_free and current_thread() is main_thread()):
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Interrupt:
    """Notes Ctrl-C or SIGTERM, and ends the wait for a source that sends nothing; the second one interrupts.

    is_noted: whether there was one.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.is_noted = False
        self._waits = False

    def __enter__(self) -> "Interrupt":
        self._before = [signal.signal(number, self._note) for number in self._SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in zip(self._SIGNALS, self._before, strict=True):
            signal.signal(number, handler)

    def next_of(self, items: Iterator[Item]) -> Item | None:
        """Return the next item; None if there is no more, or the wait for it was interrupted."""
        try:
            self._waits = True
            return next(items, None)
        except KeyboardInterrupt:
            return None
        finally:
            self._waits = False

    def _note(self, *_: Any) -> None:
        is_second, self.is_noted = self.is_noted, True
        if is_second or self._waits:
            raise KeyboardInterrupt
