"""Logits to log-probabilities."""

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import LogProbs


def log_softmax(logits: NDArray[np.floating]) -> LogProbs:
    """Return the log-probabilities along the last axis.

    logits: (..., vocab), any float type; computed in float32.
    """
    logits = np.asarray(logits, dtype=np.float32)
    if logits.size == 0:
        return logits
    shifted = logits - logits.max(axis=-1, keepdims=True)  # the largest becomes 0, so exp cannot overflow
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), dtype=np.float32)
