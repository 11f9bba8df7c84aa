"""The warnings of each thread, for the answers: ``warnings.catch_warnings`` cannot tell threads apart."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from typing import Any

from sewd_runtime.errors import AudioWarning, TextWarning

_OF_THREAD = local()


def note_warnings() -> None:
    """Send warnings about audio and texts to ``noting`` from now on; only for a process that is all ours."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, (AudioWarning, TextWarning)):
            getattr(_OF_THREAD, "notes", []).append(str(message))
        else:
            usual(message, category, *place, **more)

    warnings.showwarning = show
    for category in (AudioWarning, TextWarning):
        warnings.simplefilter("always", category)


@contextmanager
def noting(notes: list[str]) -> Iterator[None]:
    """Add the warnings of this thread to a list."""
    _OF_THREAD.notes = notes
    try:
        yield
    finally:
        del _OF_THREAD.notes
