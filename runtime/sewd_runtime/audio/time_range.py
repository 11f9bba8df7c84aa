"""A part of a recording by its times."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sewd_runtime._types import Samples
from sewd_runtime.errors import AudioValueError


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """From ``start_s`` on, ``duration_s`` long or to the end if None. Raises AudioValueError."""

    start_s: float = 0.0
    duration_s: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start_s < math.inf:
            raise AudioValueError(f"start_s must be a number of seconds of at least 0, not {self.start_s}")
        if self.duration_s is not None and not 0 < self.duration_s < math.inf:
            raise AudioValueError(f"duration_s must be a number of seconds above 0, not {self.duration_s}")

    def length_s(self, whole_s: float | None) -> float | None:
        """Return how long the part is of a recording of a length, None if that is not known."""
        rest_s = None if whole_s is None else max(0.0, whole_s - self.start_s)
        return min((each for each in (rest_s, self.duration_s) if each is not None), default=None)

    def cut(self, blocks: Iterable[Samples], rate_hz: int, name: str) -> Iterator[Samples]:
        """Yield the samples of the range; what lies before is dropped, and what follows is not read.

        Raises AudioValueError for a recording that ends before.
        """
        first = round(self.start_s * rate_hz)
        last = None if self.duration_s is None else first + max(1, round(self.duration_s * rate_hz))
        place = 0
        for block in blocks:
            begin, place = place, place + len(block)
            if place > first:
                yield block[max(0, first - begin) : None if last is None else last - begin]
            if last is not None and place >= last:
                return
        if place <= first:
            raise AudioValueError(
                f"{name}: ends at {place / rate_hz:g} s, before the start at {self.start_s:g} s"
            )
