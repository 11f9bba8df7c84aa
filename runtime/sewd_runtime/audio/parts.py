"""One recording of an audio file: its bytes, and what its container shows to be missing."""

from typing import NamedTuple

from sewd_runtime.audio.regions import Region


class Part(NamedTuple):
    """A recording as libsndfile can read it; files joined end to end have several.

    missing: in words, what was cut off; None if nothing is known to be.
    doubt: in words, why the end may be missing although nothing shows it.
    """

    content: Region
    missing: str | None = None
    doubt: str | None = None
