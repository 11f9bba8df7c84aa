"""Several channels as one."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Samples
from sewd_runtime.errors import AudioValueError, AudioWarning

_CANCELLED = 0.01
"""Power of the mean, times the number of channels over the channels' mean power, below which it is cancelled.

It is 1 for channels that have nothing in common, and for a single channel that is not silent.
"""


_MIN_FRAMES = 4_000
"""Fewer sample frames do not show whether channels cancel: in a few, they do by chance."""


class Downmix:
    """Averages the channels of a recording's blocks; where they cancel, uses the strongest and warns.

    chosen: the only channel to use, from 1; None averages them.
    """

    def __init__(self, name: str, chosen: int | None = None) -> None:
        self._name, self._chosen = name, chosen
        self._has_warned = False
        self._channel: int | None = None
        self._power: Any = 0.0
        self._mean_power, self._num_frames = 0.0, 0

    def __call__(self, block: NDArray[Any]) -> Samples:
        """Return a block ``(samples, channels)`` float32 as ``(samples,)``.

        Raises AudioValueError if there is no channel of that number.
        """
        if self._chosen is not None:
            return self._only(block, self._chosen)
        if block.shape[1] == 1:
            return block[:, 0]
        mean = np.asarray(block.mean(axis=1, dtype=np.float64), dtype=np.float32)
        self._power = self._power + np.einsum("ij,ij->j", block, block, dtype=np.float64)
        self._mean_power += float(np.einsum("i,i->", mean, mean, dtype=np.float64))
        self._num_frames += len(block)
        if self._num_frames >= _MIN_FRAMES:
            is_cancelled = self._mean_power * block.shape[1] < _CANCELLED * self._power.mean()
            self._channel = int(self._power.argmax()) if is_cancelled else None
            self._power, self._mean_power, self._num_frames = 0.0, 0.0, 0
        if self._channel is None or self._channel >= block.shape[1]:
            return mean
        if not self._has_warned:
            text = f"{self._name}: its channels cancel one another (opposite phase); one of them is used"
            warnings.warn(text, AudioWarning, stacklevel=2)
            self._has_warned = True
        return np.ascontiguousarray(block[:, self._channel])

    def _only(self, block: NDArray[Any], chosen: int) -> Samples:
        channels = block.shape[1]
        if not 1 <= chosen <= channels:
            has = "1 channel" if channels == 1 else f"{channels} channels"
            raise AudioValueError(f"{self._name}: has {has}; there is no channel {chosen}")
        return np.ascontiguousarray(block[:, chosen - 1])
