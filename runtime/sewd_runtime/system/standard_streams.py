"""Standard input, output and error, any of which may be closed (``sewd ... >&-``)."""

import errno
import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import cast


class ClosedOutput(io.TextIOBase):
    """Stands for a closed standard output: writing to it fails with OSError."""

    def write(self, _: str, /) -> int:
        """Raise OSError."""
        raise OSError(errno.EBADF, "standard output is closed")


def replace_closed_streams() -> None:
    """Put something in the place of streams that are closed, which Python calls None.

    Else messages for a closed standard error would go to standard output, and a file opened later would get
    the number of a closed stream, and with it all that libraries print.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        with suppress(OSError):
            while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
                pass
            os.close(number)
    if sys.stdout is None:
        sys.stdout = ClosedOutput()
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - it stays open


def standard_input() -> io.BufferedReader:
    """Return standard input as a binary file; raises OSError if it is closed."""
    if sys.stdin is None:
        raise OSError(errno.EBADF, "standard input is closed")
    return cast("io.BufferedReader", sys.stdin.buffer)
