"""What may be written to a terminal."""

import os
import re
from typing import TextIO

CLEAR_LINE = "\r\033[K"

_CONTROLS = "\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
"""Control characters, line separators, and surrogates, which are bytes that are not text."""
_CONTROL = re.compile(f"[{_CONTROLS}]")
_HARMFUL = re.compile(f"[{_CONTROLS}\u202a-\u202e\u2066-\u2069]")
"""Also what changes the direction of the text that follows."""


def has_controls(text: str) -> bool:
    """Return whether a text has control characters, line separators or lone surrogates."""
    return _CONTROL.search(text) is not None


def printable(text: str) -> str:
    """Return people's text (a name, a token, an error) on one line, its control characters escaped.

    Whoever named a file or made a bundle can then neither forge a line nor send codes to the terminal.
    """
    return _HARMFUL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def can_redraw(output: TextIO) -> bool:
    """Return whether a line can be redrawn in place: not in a pipe or a file, nor on a dumb terminal."""
    return output.isatty() and os.environ.get("TERM") != "dumb"


def dimmed(text: str) -> str:
    """Return the text with the codes that dim it, or as it is where ``NO_COLOR`` (no-color.org) is set."""
    return text if os.environ.get("NO_COLOR") else f"\033[2m{text}\033[0m"
