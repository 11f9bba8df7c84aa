"""Emissions of a model for sets of utterances, and their transcripts by any decoder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speech import Utterances
from sewd_runtime.decode import Decoder, log_softmax
from sewd_runtime.recognizer import Recognizer

_BATCH = 16

Emissions = list[np.ndarray[Any, Any]]
Heard = tuple[Emissions, list[str]]
"""Log-probabilities, (frames, vocab) each, and the true texts."""


class Listener:
    """A model whose emissions are computed once and decoded in several ways; None is the embedded model."""

    def __init__(self, bundle: Path | None = None) -> None:
        model = Recognizer.load(bundle, threads=1)
        self.model = model

    def hear(self, utterances: Utterances) -> Heard:
        """Return the log-probabilities of each utterance, and the true texts."""
        logits = self.model.logits([samples for samples, _ in utterances])
        return [log_softmax(one) for one in logits], [text for _, text in utterances]

    def read(self, decoder: Decoder, emissions: Emissions) -> list[str]:
        """Return the text of each."""
        vocabulary = self.model.vocabulary
        found = [
            one
            for begin in range(0, len(emissions), _BATCH)
            for one in decoder.decode(*_padded(emissions[begin : begin + _BATCH]), vocabulary)
        ]
        return [" ".join(vocabulary.text(one.token_ids).split()) for one in found]

    def speed(self, decoder: Decoder, emissions: Emissions) -> float:
        """Return seconds of audio decoded per second of CPU time, the median of three runs."""
        vocabulary, rates = self.model.vocabulary, []
        stride_s = self.model.manifest.stride / self.model.manifest.sample_rate_hz
        for _ in range(3):
            begin = time.process_time()
            for one in emissions:
                decoder.decode(one[None], np.array([len(one)]), vocabulary)
            rates.append(sum(map(len, emissions)) * stride_s / (time.process_time() - begin))
        return round(float(np.median(rates)), 1)


def _padded(emissions: Emissions) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    lengths = np.array([len(one) for one in emissions])
    batch = np.zeros((len(emissions), lengths.max(), emissions[0].shape[1]), np.float32)
    for row, one in zip(batch, emissions, strict=True):
        row[: len(one)] = one
    return batch, lengths


def merge(sets: Sequence[Heard]) -> Heard:
    """Return all of several sets as one."""
    return [one for emissions, _ in sets for one in emissions], [one for _, texts in sets for one in texts]
