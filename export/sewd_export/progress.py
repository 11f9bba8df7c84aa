"""Progress of an export: the name of each stage as it begins."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

Progress = Callable[[str], None]


def no_progress(stage: str) -> None:
    """Report nothing."""


class StageLog:
    """Print each stage on a line of standard error, with the seconds since the start."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._start_s = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start_s

    def __call__(self, stage: str) -> None:
        """Print a stage, unless quiet."""
        if not self._quiet:
            print(f"[{self.elapsed_s:5.1f} s] {stage}", file=sys.stderr)
