"""What may be written to a terminal."""

import os
from typing import TextIO

CLEAR_LINE = "\r\033[K"


def can_redraw(output: TextIO) -> bool:
    """Return whether a line can be redrawn in place: not in a pipe or a file, nor on a dumb terminal."""
    return output.isatty() and os.environ.get("TERM") != "dumb"


def dimmed(text: str) -> str:
    """Return the text with the codes that dim it, or as it is where ``NO_COLOR`` (no-color.org) is set."""
    return text if os.environ.get("NO_COLOR") else f"\033[2m{text}\033[0m"
