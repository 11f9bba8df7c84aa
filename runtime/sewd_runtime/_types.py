"""Names for the arrays that travel through the runtime."""

import os
from collections.abc import Iterator
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]
"""``(samples,)`` float32, about [-1, 1]."""

Output: TypeAlias = NDArray[np.float32]
"""``(frames, vocab)``, ``(classes,)`` or ``(frames, hidden)`` float32, or a batch of them."""

LogProbs: TypeAlias = NDArray[np.float32]
"""``(frames, vocab)`` float32, natural logarithms of probabilities, or a batch of them."""

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

Lengths: TypeAlias = NDArray[np.int64]
"""``(batch,)`` int64, in samples or frames."""

AudioSource: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | NDArray[Any] | Iterator[NDArray[Any]]
"""A path, the bytes of an audio file, an open binary file, an array of samples, or an iterator of arrays:
the blocks of one recording."""
