"""What goes into the original model, what its logits say, and how far another's are from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Logits = Mapping[str, NDArray[np.float32]]
"""Utterance → `(frames, vocab)`."""


def normalise(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `(..., samples)` with zero mean and unit variance, as Wav2Vec2FeatureExtractor does."""
    scale = np.sqrt(samples.var(-1, keepdims=True) + np.float32(1e-7))
    return np.asarray((samples - samples.mean(-1, keepdims=True)) / scale, dtype=np.float32)


def collapse(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Merge repeated labels, then drop the blank, id 0: `(frames,)` → `(tokens,)`."""
    merged = labels[np.insert(labels[1:] != labels[:-1], 0, True)] if len(labels) else labels
    return merged[merged != 0]


def transcribe(logits: NDArray[np.float32], tokens: Sequence[str]) -> str:
    """Return the greedy transcript of `(frames, vocab)` logits; `|` separates words."""
    text = "".join(tokens[label] for label in collapse(logits.argmax(-1)))
    return " ".join(text.replace("|", " ").split())


def compare(logits: Logits, reference: Logits) -> dict[str, Any]:
    """Return largest and relative error, the share of equal labels, and how many utterances read the same.

    Raises ValueError for logits of another shape, and for those that are not finite.
    """
    difference = norm = largest = 0.0
    same = frames = equal = 0
    for name, expected in reference.items():
        if logits[name].shape != expected.shape:
            raise ValueError(f"{name}: logits of {logits[name].shape}, the reference has {expected.shape}")
        error = np.abs(logits[name].astype(np.float64) - expected)
        if not np.isfinite(error).all():
            raise ValueError(f"{name}: logits that are not finite")
        largest = max(largest, float(error.max()))
        difference += float(np.square(error).sum())
        norm += float(np.square(expected, dtype=np.float64).sum())
        labels, wanted = logits[name].argmax(-1), expected.argmax(-1)
        same, frames = same + int((labels == wanted).sum()), frames + len(wanted)
        equal += np.array_equal(collapse(labels), collapse(wanted))
    return {
        "max_abs": largest,
        "relative": (difference / norm) ** 0.5,
        "label_agreement": same / frames,
        "equal_transcripts": equal,
        "utterances": len(reference),
    }
