"""Showing a stream's words as they arrive: in place on a terminal, in lines, or as JSON."""

import shutil
import sys
from collections.abc import Callable, Iterable
from typing import TypeAlias

from sewd_runtime.streaming.stream import Partial
from sewd_runtime.system.terminal import CLEAR_LINE, dimmed, json_line, printable
from sewd_runtime.text.formats import word_as_dict
from sewd_runtime.text.scripts import join_texts
from sewd_runtime.text.transcript import Word

Show: TypeAlias = Callable[[Partial], None]


def text_of(words: Iterable[Word]) -> str:
    """Return the words as text."""
    return join_texts(word.text for word in words)


def show_lines(partial: Partial) -> None:
    """Write committed words, one line for each commit."""
    if partial.committed:
        print(printable(text_of(partial.committed)), flush=True)


class JsonLines:
    """Writes one JSON object for each change. start_s: where in the recording the stream began."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._start_s, self._pending = start_s, ""

    def __call__(self, partial: Partial) -> None:
        """Write a partial if anything changed."""
        pending = text_of(partial.pending)
        if partial.committed or pending != self._pending:
            committed = [word_as_dict(word.shifted(self._start_s)) for word in partial.committed]
            print(json_line({"committed": committed, "pending": pending}), flush=True)
        self._pending = pending


class InPlace:
    """Redraws one line: committed words, and after them the pending ones, dimmed."""

    def __init__(self) -> None:
        self._line = ""
        self._drawn = ""

    def __call__(self, partial: Partial) -> None:
        """Redraw the line; words that no longer fit go to the next one."""
        width = shutil.get_terminal_size().columns - 1
        finished = ""
        for word in partial.committed:
            text = printable(word.text)
            longer = f"{self._line} {text}" if self._line else text
            if self._line and len(longer) > width:
                finished += f"{CLEAR_LINE}{self._line}\n"
                longer = text
            self._line = longer
        drawn = self._line + _behind(printable(text_of(partial.pending)), width - len(self._line) - 1)
        if finished or drawn != self._drawn:
            sys.stdout.write(f"{finished}{CLEAR_LINE}{drawn}")
            sys.stdout.flush()
        self._drawn = drawn

    def close(self) -> None:
        """End the line, without pending words."""
        if self._drawn:
            sys.stdout.write(f"{CLEAR_LINE}{self._line}\n")
            sys.stdout.flush()


def _behind(text: str, width: int) -> str:
    """Return as much of the pending text as fits, dimmed, with a space before it."""
    if not text or width < 1:
        return ""
    shown = text if len(text) <= width else f"{text[: width - 1]}…"
    return f" {dimmed(shown)}"
