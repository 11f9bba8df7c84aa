"""What is written to standard output and error: in which encoding, and without what harms a terminal."""

import json
import math
import os
import re
import sys
from typing import Any, TextIO

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


def set_encoding() -> None:
    """Write UTF-8 to files and pipes, whatever the code page is; escape what a terminal cannot show."""
    for output in (sys.stdout, sys.stderr):
        if hasattr(output, "reconfigure"):  # not where a program has replaced or closed it
            encoding = output.encoding if output.isatty() else "utf-8"
            output.reconfigure(encoding=encoding, errors="backslashreplace")


def json_line(value: Any) -> str:
    """Return a value as JSON on one line: numbers that are not finite as null, control characters escaped."""
    is_utf8 = (getattr(sys.stdout, "encoding", None) or "").lower().replace("_", "-") == "utf-8"
    try:
        text = json.dumps(value, ensure_ascii=not is_utf8, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=not is_utf8, allow_nan=False)
    return _HARMFUL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def can_redraw(output: TextIO) -> bool:
    """Return whether a line can be redrawn in place: not in a pipe or a file, nor on a dumb terminal."""
    return output.isatty() and os.environ.get("TERM") != "dumb"


def dimmed(text: str) -> str:
    """Return the text with the codes that dim it, or as it is where ``NO_COLOR`` (no-color.org) is set."""
    return text if os.environ.get("NO_COLOR") else f"\033[2m{text}\033[0m"
