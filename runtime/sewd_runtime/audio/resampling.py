"""Sample rates."""

from typing import Any

import numpy as np

from sewd_runtime._types import Samples
from sewd_runtime.errors import AudioValueError

_RATES_HZ = range(1_000, 1_000_000)
"""A rate outside this range is a broken header; resampling from it would exhaust the memory."""


class Resampler:
    """Changes the sample rate of consecutive blocks."""

    def __init__(self, rate_hz: int, target_rate_hz: int, *, name: str) -> None:
        for rate in (rate_hz, target_rate_hz):
            if isinstance(rate, bool) or rate not in _RATES_HZ:
                raise AudioValueError(
                    f"{name}: a sample rate of {rate} Hz is outside {_RATES_HZ[0]} to {_RATES_HZ[-1]}"
                )
        self._soxr: Any = None
        if rate_hz != target_rate_hz:
            import soxr

            self._soxr = soxr.ResampleStream(rate_hz, target_rate_hz, 1, dtype="float32", quality="HQ")

    def feed(self, block: Samples) -> Samples:
        """Return the samples that are final at the new rate; equal rates leave the block exactly as it is."""
        block = np.ascontiguousarray(block)
        return block if self._soxr is None else self._soxr.resample_chunk(block)

    def finish(self) -> Samples:
        """Return the remaining samples."""
        nothing = np.zeros(0, np.float32)
        return nothing if self._soxr is None else self._soxr.resample_chunk(nothing, last=True)
