"""How loud a recording is, and runs of what is alike in it: what pauses are told by."""

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Samples

QUIETEST_DB = -80.0
"""Below this everything is silence."""

QUIET_PERCENT, LOUD_PERCENT = 5, 98
"""The percentiles that stand for a recording's quiet and for its loud."""

LEAST_CONTRAST_DB = 10.0
"""Where the loud is no louder than this over the quiet, nothing can be told."""


def energy_db(samples: Samples, frame: int) -> NDArray[np.float64]:
    """Return the mean power of each frame of so many samples, the last one filled up with zeros.

    Returns (frames,) float64 in dB of full scale, as ``as_db`` gives it.
    """
    padded = np.pad(samples.astype(np.float64), (0, -len(samples) % frame))
    return as_db(np.square(padded.reshape(-1, frame)).mean(1))


def as_db(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return power in dB; silence is ``QUIETEST_DB``."""
    return np.asarray(10 * np.log10(power + 10 ** (QUIETEST_DB / 10)))


def find_runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return where each run of true begins, and one past where it ends."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]))).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))
