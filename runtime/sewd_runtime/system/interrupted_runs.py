"""Runs of a model that do not end: Ctrl-C stops them after a moment.

Python delivers a signal only between two of its own instructions, so never while a library runs an endless
graph. The system does tell another thread, through a pipe (``signal.set_wakeup_fd``).
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread, current_thread, main_thread
from typing import Any

GRACE_S = 2.0
"""What a run may still take after the signal; one of a window of speech takes less."""

_RUNS: set[Any] = set()
"""Options of the runs in flight, whose attribute ``terminate`` stops them."""


@contextmanager
def stoppable(options: Any) -> Iterator[None]:
    """Let a signal stop the run that has these options."""
    _RUNS.add(options)
    try:
        yield
    finally:
        _RUNS.discard(options)


@contextmanager
def stop_runs_on_interrupt() -> Iterator[None]:
    """Stop runs that are in flight ``GRACE_S`` after Ctrl-C or SIGTERM; for a process that is ours."""
    if current_thread() is not main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    Thread(target=_watch, args=(reader,), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)


def _watch(reader: int) -> None:
    while number := os.read(reader, 1):
        if number[0] in (signal.SIGINT, signal.SIGTERM):
            late = set(_RUNS)
            time.sleep(GRACE_S)
            for options in late & _RUNS:
                options.terminate = True
    os.close(reader)
