"""The encodings of live samples: 16-bit PCM, and the two 8-bit ones of telephony (ITU-T G.711)."""

import numpy as np
from numpy.typing import NDArray


def decode_samples(content: bytes, encoding: str) -> NDArray[np.int16]:
    """Return little-endian 16-bit samples, or µ-law or A-law ones as 16-bit samples, ``(samples,)`` int16."""
    if encoding == "pcm16":
        return np.frombuffer(content, "<i2")
    return _TABLES[encoding][np.frombuffer(content, np.uint8)]


def _mu_law() -> NDArray[np.int16]:
    """Return the sample of each code (G.711, table 2a): inverted; sign, 3 bits of segment, 4 within it."""
    codes = ~np.arange(256, dtype=np.uint8)
    magnitude = ((((codes & 0x0F).astype(np.int32) << 3) + 0x84) << ((codes >> 4) & 7)) - 0x84
    return np.where(codes & 0x80, -magnitude, magnitude).astype(np.int16)


def _a_law() -> NDArray[np.int16]:
    """Return the sample of each code (G.711, table 1a): every other bit inverted; segment 0 is linear."""
    codes = np.arange(256, dtype=np.uint8) ^ 0x55
    step = (codes & 0x0F).astype(np.int32) << 4
    segment = ((codes >> 4) & 7).astype(np.int32)
    magnitude = np.where(segment == 0, step + 8, (step + 0x108) << np.maximum(segment - 1, 0))
    return np.where(codes & 0x80, magnitude, -magnitude).astype(np.int16)


_TABLES = {"pcmu": _mu_law(), "pcma": _a_law()}
