"""Giving memory back between the stages of an export."""

from __future__ import annotations

import ctypes
import gc
import sys


def release_memory() -> None:
    """Collect garbage and return free pages to the system.

    After a minute of audio glibc keeps about 250 MB of the original's freed activations, which would add to
    the next stage's peak. Does nothing beyond the collection on other C libraries.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
