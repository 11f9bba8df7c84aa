"""Greedy transcription of one unpadded utterance in torch and float32, for validation."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks import parity
from benchmarks.reference.augmentation import Samples, normalise
from benchmarks.reference.layout import LETTERS


def transcribe(model: nn.Module, samples: Samples) -> str:
    """Return the greedy transcript of ``(samples,)`` float32 at 16 kHz."""
    with torch.inference_mode():
        logits = model(torch.from_numpy(normalise(samples[None]))).logits[0]
    return parity.transcribe(logits.numpy(), LETTERS)
