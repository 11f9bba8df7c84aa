"""Recordings that a bound on errors is held to, and how far a precision exceeds float32's errors on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sewd_export.checkpoint.loading import Checkpoint
from sewd_export.checkpoint.vocabulary import read_vocabulary
from sewd_export.errors import ExportError
from sewd_export.families import geometry
from sewd_export.parity.signals import Signal, read_recordings
from sewd_export.parity.transcripts import read_logits, word_errors
from sewd_runtime.bundle.manifest import CtcEntry
from sewd_runtime.inference.session import Session, pad
from sewd_runtime.text.vocabulary import Vocabulary

Logits = list[NDArray[np.float32]]
_RANKING_S = 120  # of the recordings: enough to tell the groups apart, and each group runs over all of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Recordings, and by how much a precision may exceed float32's errors on them.

    max_increase: in percentage points: of the word error rate, or of the share of transcripts that differ
    from float32's where the recordings have none of their own.
    """

    recordings: tuple[Signal, ...]
    max_increase: float
    sample_rate_hz: int
    vocabulary: Vocabulary

    @classmethod
    def read(
        cls, folder: Path, checkpoint: Checkpoint, *, ctc: CtcEntry | None, max_increase: float
    ) -> Evaluation:
        """Read a folder of recordings, all with a transcript in its `transcripts.tsv` or all without.

        Raises ExportError: not so, none is there, none is long enough, or the model is not a CTC model.
        """
        if ctc is None:
            raise ExportError(f"{checkpoint.folder}: {checkpoint.task} has no words to bound the errors of")
        if not (math.isfinite(max_increase) and max_increase >= 0):
            raise ExportError(f"max_wer_increase is {max_increase}; give percentage points, 0 or more")
        rate_hz = checkpoint.sample_rate_hz
        found = read_recordings(folder, rate_hz)
        shortest = geometry(checkpoint.config).min_samples
        usable = [signal for signal in found if len(signal.samples) >= shortest]
        if not usable:
            raise ExportError(
                f"{folder}: every recording is shorter than {shortest} samples; give longer ones"
            )
        untold = [signal.name for signal in usable if signal.transcript is None]
        if 0 < len(untold) < len(usable):
            raise ExportError(
                f"{folder}: no transcript of {len(untold)} of {len(usable)} recordings, e.g. {untold[0]}; "
                f"add them, or remove the file to bound the transcripts that differ from float32's"
            )
        if not untold and not any(str(signal.transcript).split() for signal in usable):
            raise ExportError(f"{folder}: transcripts.tsv has no words, so there is no word error rate")
        tokens, _ = read_vocabulary(checkpoint.folder, blank_id=ctc.blank_id)
        vocabulary = Vocabulary.from_manifest(tokens, ctc, checkpoint.config.vocab_size)
        return cls(
            recordings=tuple(usable), max_increase=max_increase, sample_rate_hz=rate_hz, vocabulary=vocabulary
        )

    @property
    def measure(self) -> str:
        """What is bounded: a key of `MEASURES`."""
        return "wer" if self.words else "disagreement"

    @property
    def words(self) -> int:
        """How many words the transcripts have; 0 without transcripts."""
        return sum(len(signal.transcript.split()) for signal in self.recordings if signal.transcript)

    def run(self, model: Path, recordings: Sequence[Signal] | None = None) -> Logits:
        """Return a model file's logits for each of the recordings, one at a time: `(frames, vocab)`."""
        session = Session.open(model, task="ctc")
        chosen = self.recordings if recordings is None else recordings
        return [session.run(*pad([signal.samples]))[0][0] for signal in chosen]

    def increase(self, found: Logits, expected: Logits) -> float:
        """Return the increase of the errors from `expected` to `found`, in percentage points."""
        errors, of = 0, self.words or len(self.recordings)
        for signal, logits, original in zip(self.recordings, found, expected, strict=True):
            text, before = (read_logits(one, self.vocabulary) for one in (logits, original))
            if self.words:
                truth = str(signal.transcript)
                errors += word_errors(truth, text) - word_errors(truth, before)
            else:
                errors += text != before
        return 100 * errors / of

    def ranking(self) -> list[int]:
        """Draw the recordings that rank the groups: all, or as many as make two minutes."""
        chosen: list[int] = []
        left = _RANKING_S * self.sample_rate_hz
        for place in np.random.default_rng(0).permutation(len(self.recordings)).tolist():
            if left <= 0:
                break
            chosen.append(place)
            left -= len(self.recordings[place].samples)
        return chosen
