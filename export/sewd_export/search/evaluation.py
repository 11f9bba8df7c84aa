"""Recordings on which a precision may exceed float32's errors by at most a bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sewd_export.checkpoint.loading import Checkpoint
from sewd_export.errors import ExportError
from sewd_export.parity.signals import Signal, read_recordings
from sewd_export.parity.transcripts import read_logits, word_errors
from sewd_runtime.decode.lm.normalisation import normaliser
from sewd_runtime.inference.session import Session, pad
from sewd_runtime.text.vocabulary import Vocabulary

Logits = list[NDArray[np.float32]]
_RANKING_S = 120  # of recordings: enough to tell groups apart, and each group runs on all of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Recordings, and by how much a precision may exceed float32's errors on them.

    max_increase: in percentage points of the word error rate, or, if the recordings have no transcripts, of
        the share of outputs that differ from float32's.
    """

    recordings: tuple[Signal, ...]
    max_increase: float
    sample_rate_hz: int
    vocabulary: Vocabulary

    @classmethod
    def read(cls, folder: Path, checkpoint: Checkpoint, *, max_increase: float) -> Evaluation:
        """Read a folder of recordings, all with a transcript in `transcripts.tsv`, or none.

        Raises ExportError: only some have a transcript, there are no recordings, none is long enough, or the
        model is not a CTC model.
        """
        if checkpoint.vocabulary is None:
            raise ExportError(
                f"{checkpoint.folder}: {checkpoint.task} has no words, so no word errors to bound"
            )
        if not (math.isfinite(max_increase) and max_increase >= 0):
            raise ExportError(f"max_wer_increase is {max_increase}; give percentage points, 0 or more")
        min_samples = checkpoint.geometry.min_samples
        recordings = [
            signal
            for signal in read_recordings(folder, checkpoint.sample_rate_hz)
            if len(signal.samples) >= min_samples
        ]
        _check_transcripts(recordings, folder, min_samples)
        evaluation = cls(
            recordings=tuple(recordings),
            max_increase=max_increase,
            sample_rate_hz=checkpoint.sample_rate_hz,
            vocabulary=checkpoint.vocabulary.for_outputs(checkpoint.config.vocab_size),
        )
        if recordings[0].transcript is not None and not evaluation.words:
            raise ExportError(f"{folder}: transcripts.tsv has no words, so there is no word error rate")
        return evaluation

    @property
    def measure(self) -> str:
        """What is bounded: a key of `MEASURES`."""
        return "wer" if self.words else "disagreement"

    @property
    def words(self) -> int:
        """The number of words in the transcripts; 0 without transcripts."""
        words_of = normaliser(self.vocabulary)
        return sum(len(words_of(signal.transcript)) for signal in self.recordings if signal.transcript)

    def run(self, model: Path, recordings: Sequence[Signal] | None = None) -> Logits:
        """Run a model file on recordings, by default all, one at a time; returns logits `(frames, vocab)`."""
        session = Session.open(model, task="ctc")
        signals = self.recordings if recordings is None else recordings
        return [session.run(*pad([signal.samples]))[0][0] for signal in signals]

    def increase(self, candidate: Logits, reference: Logits) -> float:
        """Return the increase of the errors from `reference` to `candidate`, in percentage points."""
        errors, total, words_of = 0, self.words, normaliser(self.vocabulary)
        for signal, *logits in zip(self.recordings, candidate, reference, strict=True):
            text, expected = (read_logits(item, self.vocabulary) for item in logits)
            if total:
                truth = words_of(str(signal.transcript))
                errors += word_errors(truth, words_of(text)) - word_errors(truth, words_of(expected))
            else:
                errors += text != expected
        return 100 * errors / (total or len(self.recordings))

    def ranking(self) -> list[int]:
        """Draw the indices of the recordings that rank the groups: about two minutes, or all of them."""
        drawn: list[int] = []
        remaining = _RANKING_S * self.sample_rate_hz
        for index in np.random.default_rng(0).permutation(len(self.recordings)).tolist():
            if remaining <= 0:
                break
            drawn.append(index)
            remaining -= len(self.recordings[index].samples)
        return drawn


def _check_transcripts(recordings: Sequence[Signal], folder: Path, min_samples: int) -> None:
    """Raise ExportError unless there are recordings, all with a transcript or none."""
    if not recordings:
        raise ExportError(f"{folder}: every recording is shorter than {min_samples} samples; add longer ones")
    without_transcript = [signal.name for signal in recordings if signal.transcript is None]
    if 0 < len(without_transcript) < len(recordings):
        raise ExportError(
            f"{folder}: {len(without_transcript)} of {len(recordings)} recordings have no transcript, e.g. "
            f"{without_transcript[0]}; add them, or remove transcripts.tsv to bound the differences from "
            f"float32's output"
        )
