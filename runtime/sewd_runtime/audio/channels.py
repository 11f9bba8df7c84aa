"""Several channels as one."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Samples
from sewd_runtime.errors import AudioWarning

_CANCELLED = 0.01
"""Power of the mean, times the number of channels over the channels' mean power, below which it is cancelled.

It is 1 for channels that have nothing in common, and for a single channel that is not silent.
"""


class Downmix:
    """Averages the channels of a recording's blocks; where they cancel, uses the strongest and warns."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._has_warned = False

    def __call__(self, block: NDArray[Any]) -> Samples:
        """Return a block ``(samples, channels)`` float32 as ``(samples,)``."""
        num_channels = block.shape[1]
        if num_channels == 1:
            return block[:, 0]
        mean = np.asarray(block.mean(axis=1, dtype=np.float64), dtype=np.float32)
        power = np.einsum("ij,ij->j", block, block, dtype=np.float64)
        mean_power = np.einsum("i,i->", mean, mean, dtype=np.float64)
        if not mean_power * num_channels < _CANCELLED * power.mean():
            return mean
        if not self._has_warned:
            text = f"{self._name}: its channels cancel one another (opposite phase); one of them is used"
            warnings.warn(text, AudioWarning, stacklevel=2)
            self._has_warned = True
        return np.ascontiguousarray(block[:, power.argmax()])
