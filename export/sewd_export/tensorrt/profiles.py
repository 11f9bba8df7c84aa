"""The input shapes that an engine is built for, in recordings and seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sewd_runtime.bundle.engines import BatchShape, Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileOptions:
    """A range of shapes: the smallest, the one to optimise for, the largest.

    Each is (recordings, seconds); 0 seconds is the shortest recording that the model takes.
    """

    min: tuple[int, float]
    opt: tuple[int, float]
    max: tuple[int, float]

    def __post_init__(self) -> None:
        shapes = (self.min, self.opt, self.max)
        for side in zip(*shapes, strict=True):
            if list(side) != sorted(side):
                raise ValueError(f"{self}: must go from the smallest to the largest")
        if self.min[0] < 1 or not all(0 <= seconds < math.inf for _, seconds in shapes):
            raise ValueError(f"{self}: at least one recording, of at least 0 seconds")

    def __str__(self) -> str:
        """Return it as on the command line: `1x0,1x2,16x4`."""
        return ",".join(f"{batch}x{seconds:g}" for batch, seconds in (self.min, self.opt, self.max))

    @classmethod
    def parse(cls, text: str) -> ProfileOptions:
        """Read `MIN,OPT,MAX`, each `RECORDINGSxSECONDS`; raises ValueError."""
        smallest, usual, largest = (_parse_shape(part) for part in text.split(","))
        return cls(min=smallest, opt=usual, max=largest)

    def to_samples(self, *, sample_rate_hz: int, min_samples: int) -> Profile:
        """Return it in samples, for a model of this sample rate and shortest recording."""

        def shape(batch: int, seconds: float) -> BatchShape:
            return BatchShape(batch=batch, samples=max(min_samples, round(seconds * sample_rate_hz)))

        return Profile(min=shape(*self.min), opt=shape(*self.opt), max=shape(*self.max))


def _parse_shape(text: str) -> tuple[int, float]:
    batch, _, seconds = text.partition("x")
    return int(batch), float(seconds)


PROFILES = (
    ProfileOptions(min=(1, 0.0), opt=(1, 2.0), max=(16, 4.0)),
    ProfileOptions(min=(1, 4.0), opt=(1, 10.0), max=(8, 20.0)),
    ProfileOptions(min=(1, 20.0), opt=(1, 30.0), max=(2, 60.0)),
)
"""Short, medium, long: every length up to 60 s, the longest recording that runs whole."""
