"""Proof that a candidate computes what the original computes.

The oracle is transformers' model in float32, one utterance at a time, unpadded, its input made by the
original feature extractor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Wav2Vec2FeatureExtractor

from sewd_export.checkpoint.loading import Checkpoint, reference_model
from sewd_export.checkpoint.vocabulary import read_vocabulary
from sewd_export.families import geometry
from sewd_export.parity.report import Case, ParityReport
from sewd_export.parity.signals import Signal, golden_signal, ragged_batches, signals
from sewd_export.parity.transcripts import read_logits, word_errors
from sewd_runtime.bundle.manifest import CtcEntry, Tolerance
from sewd_runtime.inference.session import Session, pad
from sewd_runtime.text.vocabulary import Vocabulary

_LONGEST_IN_BATCH_S = 3
Array = NDArray[np.float32]
Candidate = Callable[[Sequence[Array]], list[Array]]


class Oracle:
    """The original: `samples (samples,)` → the task's output without the batch axis, float32."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.model: Any = reference_model(checkpoint)
        self.extract = Wav2Vec2FeatureExtractor(
            sampling_rate=checkpoint.preprocessor["sampling_rate"],
            do_normalize=checkpoint.preprocessor["do_normalize"],
            return_attention_mask=False,
        )

    @torch.no_grad()
    def __call__(self, samples: Array) -> Array:
        """Return the original's output for one utterance."""
        shape = geometry(self.checkpoint.config)
        frames = (len(samples) - shape.receptive_field) // shape.stride + 1
        if frames < self.checkpoint.config.squeeze_factor:
            return self._untokened(frames)
        values = self.extract(
            samples, sampling_rate=self.extract.sampling_rate, return_tensors="pt"
        ).input_values
        output: Array = self.model(values)[0][0].numpy()
        return output

    def _untokened(self, frames: int) -> Array:
        """Return the output for fewer frames than a token: the original fails there, so its zero-padding is
        carried on."""
        hidden = torch.zeros(frames, self.checkpoint.config.hidden_size)
        if self.checkpoint.task == "ctc":
            hidden = self.model.lm_head(hidden)
        elif self.checkpoint.task == "classification":
            hidden = self.model.classifier(self.model.projector(hidden).mean(0))
        output: Array = hidden.numpy()
        return output


def rounded_otherwise(samples: Array, *, seed: int = 0) -> Array:
    """Return every sample's neighbour in float32, the next above or below at random; `(samples,)` both.

    No recording is known more closely than that, so no output is determined more closely than it moves then:
    the measure of backward stability (Higham, Accuracy and Stability of Numerical Algorithms, 1.5).
    """
    up = np.random.default_rng(seed).random(samples.shape) < 0.5
    return np.nextafter(samples, np.where(up, np.inf, -np.inf).astype(np.float32))


def session_candidate(session: Session) -> Candidate:
    """Return a function that runs one padded batch through a session and trims each item to its own
    frames."""

    def run(recordings: Sequence[Array]) -> list[Array]:
        output, lengths = session.run(*pad(recordings))
        if output.ndim == 2:
            return list(output)
        return [item[:length] for item, length in zip(output, lengths, strict=True)]

    return run


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An utterance, what the original makes of it, `(frames, num_outputs)` or `(classes,)` float32, and what
    is said, where that is known.

    movement: of that output when the samples are rounded otherwise, see `rounded_otherwise`.
    """

    name: str
    samples: Array
    expected: Array
    movement: float
    transcript: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The original's answers on the grid, and the batches that are drawn from it.

    golden: the utterance that the bundle carries. answers: the grid, the golden utterance among them.
    """

    task: str
    golden: Answer
    answers: tuple[Answer, ...]
    ragged: tuple[tuple[Signal, ...], ...]
    vocabulary: Vocabulary | None

    @classmethod
    def make(
        cls, checkpoint: Checkpoint, *, ctc: CtcEntry | None, audio: str | Path | None = None
    ) -> Reference:
        """Run the original over the grid of `signals` and the recordings in `audio`; it is let go
        afterwards."""
        rate_hz = checkpoint.sample_rate_hz
        shape = geometry(checkpoint.config)
        found = signals(shape, sample_rate_hz=rate_hz, audio=None if audio is None else Path(audio))
        vocabulary = None
        if ctc is not None:
            tokens, _ = read_vocabulary(checkpoint.folder, blank_id=ctc.blank_id)
            vocabulary = Vocabulary.from_manifest(tokens, ctc, checkpoint.config.vocab_size)
        oracle = Oracle(checkpoint)

        def answer(signal: Signal) -> Answer:
            expected = oracle(signal.samples)
            return Answer(
                name=signal.name,
                samples=signal.samples,
                expected=expected,
                movement=_max_abs(oracle(rounded_otherwise(signal.samples)), expected),
                transcript=signal.transcript,
            )

        answers = {signal.name: answer(signal) for signal in found}
        golden = golden_signal(rate_hz)
        return cls(
            task=checkpoint.task,
            golden=answers[golden.name] if golden.name in answers else answer(golden),
            answers=tuple(answers.values()),
            ragged=ragged_batches(found, longest=_LONGEST_IN_BATCH_S * rate_hz),
            vocabulary=vocabulary,
        )

    def compare(self, model: Path, *, precision: str, tolerance: Tolerance) -> ParityReport:
        """Run a model file one utterance at a time against the original, and its batches against its own
        single items."""
        session = Session.open(model, task=self.task)
        return self.compare_with(session_candidate(session), precision=precision, tolerance=tolerance)

    def compare_with(self, candidate: Candidate, *, precision: str, tolerance: Tolerance) -> ParityReport:
        """As `compare`, for anything that turns a batch of recordings into their outputs."""
        alone = {answer.name: candidate([answer.samples])[0] for answer in self.answers}
        batch_error = 0.0
        for batch in self.ragged:
            for signal, item in zip(batch, candidate([signal.samples for signal in batch]), strict=True):
                batch_error = float(np.maximum(batch_error, _batch_error(item, alone[signal.name])))
        return ParityReport(
            precision=precision,
            tolerance=tolerance,
            cases=tuple(self._case(answer, alone[answer.name]) for answer in self.answers),
            batch_error=batch_error,
        )

    def _case(self, answer: Answer, found: Array) -> Case:
        expected = answer.expected
        norm, distance = float(np.linalg.norm(expected)), float("inf")
        if expected.shape == found.shape:
            distance = float(np.linalg.norm(found - expected))
        has_labels = self.task != "encoding"
        return Case(
            name=answer.name,
            max_abs=_max_abs(found, expected),
            movement=answer.movement,
            peak=float(np.abs(expected).max(initial=0)),
            # An answer of zeros, as random weights without biases give for silence, has no scale but one.
            relative=distance / (norm or math.sqrt(expected.size)) if distance else 0.0,
            label_agreement=_label_agreement(found, expected) if has_labels else None,
            **self._compare_texts(answer, found),
        )

    def _compare_texts(self, answer: Answer, found: Array) -> dict[str, Any]:
        """Return what a case says of texts: whether they agree, and the errors in words."""
        if self.vocabulary is None:
            return {"transcript_agreement": None}
        text, original = (read_logits(logits, self.vocabulary) for logits in (found, answer.expected))
        truth = answer.transcript
        if truth is None:
            return {"transcript_agreement": text == original}
        return {
            "transcript_agreement": text == original,
            "words": len(truth.split()),
            "wrong_words": word_errors(truth, text),
            "original_wrong_words": word_errors(truth, original),
        }


def _max_abs(found: Array, expected: Array) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max(initial=0))


def _batch_error(item: Array, alone: Array) -> float:
    """Return the largest difference over the output's peak, or over 1 where the peak is lower."""
    return _max_abs(item, alone) / max(1.0, float(np.abs(alone).max(initial=0)))


def _label_agreement(found: Array, expected: Array) -> float:
    return 0.0 if found.shape != expected.shape else float(np.mean(found.argmax(-1) == expected.argmax(-1)))
