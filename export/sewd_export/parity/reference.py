"""Check that a candidate computes what the original computes.

The reference is transformers' model in float32, one utterance at a time, unpadded, with the original feature
extractor.
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

from sewd_export.checkpoint.config import one_line
from sewd_export.checkpoint.loading import Checkpoint, reference_model
from sewd_export.errors import CheckpointError
from sewd_export.parity.report import MOVEMENTS, Case, Distance, ParityReport
from sewd_export.parity.signals import Signal, golden_signal, ragged_batches, signals
from sewd_export.parity.transcripts import read_logits, word_errors
from sewd_export.precisions import PRECISIONS, REFERENCE
from sewd_runtime.bundle.manifest import Tolerance
from sewd_runtime.decode.lm.normalisation import normaliser
from sewd_runtime.inference.session import Session, pad
from sewd_runtime.text.vocabulary import Vocabulary

_MAX_IN_BATCH_S = 3
_DRAWS = 3
_STEADY = 16  # another number of threads moves the output up to five times as far as one draw does
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
        frames = self.checkpoint.geometry.num_frames(len(samples))
        if frames < self.checkpoint.config.squeeze_factor:
            return self._without_tokens(frames)
        values = self.extract(
            samples, sampling_rate=self.extract.sampling_rate, return_tensors="pt"
        ).input_values
        try:
            output: Array = self.model(values)[0][0].numpy()
        except Exception as error:  # any error that a value of config.json caused inside transformers
            reason = one_line(error)
            raise CheckpointError(
                f"{self.checkpoint.folder}: the original fails on {len(samples)} samples: {reason}"
            ) from error
        return output

    def _without_tokens(self, frames: int) -> Array:
        """Return the output for less than one token, where the original fails: that of its zero-padding."""
        hidden = torch.zeros(frames, self.checkpoint.config.hidden_size)
        if self.checkpoint.task == "ctc":
            hidden = self.model.lm_head(hidden)
        elif self.checkpoint.task == "classification":
            hidden = self.model.classifier(self.model.projector(hidden).mean(0))
        output: Array = hidden.numpy()
        return output


def rounded_differently(samples: Array, *, seed: int = 0) -> Array:
    """Return each sample's float32 neighbour, the next above or below at random; `(samples,)` → same.

    A recording is no more precise than that, so an output is no more precise than it then moves: the measure
    of backward stability (Higham, Accuracy and Stability of Numerical Algorithms, 1.5).
    """
    up = np.random.default_rng(seed).random(samples.shape) < 0.5
    return np.nextafter(samples, np.where(up, np.inf, -np.inf).astype(np.float32))


def measure_movement(oracle: Callable[[Array], Array], samples: Array, expected: Array) -> Distance:
    """Return how far the original's output moves when its rounding changes: what it leaves open.

    Rounding changes with the samples of `rounded_differently`. Where one draw moves the output noticeably,
    there are more draws, and other numbers of threads, which split sums differently.
    """
    movement = _distance(oracle(rounded_differently(samples)), expected)
    tolerance = PRECISIONS[REFERENCE].tolerance
    bound = tolerance.max_abs_at(float(np.abs(expected).max(initial=0)))
    if not (movement.max_abs > bound / _STEADY or MOVEMENTS * movement.relative > tolerance.relative):
        return movement
    outputs = [oracle(rounded_differently(samples, seed=seed)) for seed in range(1, _DRAWS)]
    threads = torch.get_num_threads()
    try:
        for count in {1, 2} - {threads}:
            torch.set_num_threads(count)
            outputs.append(oracle(samples))
    finally:
        torch.set_num_threads(threads)
    movements = [movement, *(_distance(output, expected) for output in outputs)]
    return Distance(*(max(values) for values in zip(*movements, strict=True)))


def session_candidate(session: Session) -> Candidate:
    """Return a function that runs a padded batch through a session and trims each item to its frames."""

    def run(recordings: Sequence[Array]) -> list[Array]:
        output, lengths = session.run(*pad(recordings))
        if output.ndim == 2:
            return list(output)
        return [item[:length] for item, length in zip(output, lengths, strict=True)]

    return run


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An utterance and the original's output for it.

    expected: `(frames, num_outputs)` or `(classes,)` float32.
    movement: how far the original itself moves that output (see `measure_movement`).
    """

    name: str
    samples: Array
    expected: Array
    movement: Distance
    transcript: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The original's answers on the grid of utterances, and batches drawn from the grid.

    golden: the utterance in the bundle. answers: for the whole grid, the golden utterance included.
    """

    task: str
    golden: Answer
    answers: tuple[Answer, ...]
    ragged: tuple[tuple[Signal, ...], ...]
    vocabulary: Vocabulary | None

    @classmethod
    def make(cls, checkpoint: Checkpoint, *, audio: str | Path | None = None) -> Reference:
        """Run the original on the grid of `signals` and the recordings in `audio`, then free it."""
        rate_hz, vocabulary = checkpoint.sample_rate_hz, checkpoint.vocabulary
        folder = None if audio is None else Path(audio)
        grid = signals(checkpoint.geometry, sample_rate_hz=rate_hz, audio=folder)
        oracle = Oracle(checkpoint)

        def answer(signal: Signal) -> Answer:
            expected = oracle(signal.samples)
            return Answer(
                name=signal.name,
                samples=signal.samples,
                expected=expected,
                movement=measure_movement(oracle, signal.samples, expected),
                transcript=signal.transcript,
            )

        answers = {signal.name: answer(signal) for signal in grid}
        golden = golden_signal(rate_hz)
        return cls(
            task=checkpoint.task,
            golden=answers[golden.name] if golden.name in answers else answer(golden),
            answers=tuple(answers.values()),
            ragged=ragged_batches(grid, max_samples=_MAX_IN_BATCH_S * rate_hz),
            vocabulary=None if vocabulary is None else vocabulary.for_outputs(checkpoint.config.vocab_size),
        )

    def compare(self, model: Path, *, precision: str, tolerance: Tolerance) -> ParityReport:
        """Compare a model file with the original, one utterance at a time, and batches with their items."""
        session = Session.open(model, task=self.task)
        return self.compare_with(session_candidate(session), precision=precision, tolerance=tolerance)

    def compare_with(self, candidate: Candidate, *, precision: str, tolerance: Tolerance) -> ParityReport:
        """Same as `compare`, for any function from a batch of recordings to their outputs."""
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

    def _case(self, answer: Answer, output: Array) -> Case:
        expected = answer.expected
        has_labels = self.task != "encoding"
        return Case(
            name=answer.name,
            error=_distance(output, expected),
            movement=answer.movement,
            peak=float(np.abs(expected).max(initial=0)),
            label_agreement=_label_agreement(output, expected) if has_labels else None,
            **self._compare_texts(answer, output),
        )

    def _compare_texts(self, answer: Answer, output: Array) -> dict[str, Any]:
        """Return a case's fields about text: whether the texts agree, and the word errors."""
        if self.vocabulary is None:
            return {"transcript_agreement": None}
        text, original = (read_logits(logits, self.vocabulary) for logits in (output, answer.expected))
        truth = answer.transcript
        if truth is None:
            return {"transcript_agreement": text == original}
        words_of = normaliser(self.vocabulary)
        return {
            "transcript_agreement": text == original,
            "words": len(words_of(truth)),
            "wrong_words": word_errors(words_of(truth), words_of(text)),
            "original_wrong_words": word_errors(words_of(truth), words_of(original)),
        }


def _distance(output: Array, expected: Array) -> Distance:
    norm, distance = float(np.linalg.norm(expected)), float("inf")
    if expected.shape == output.shape:
        distance = float(np.linalg.norm(output - expected))
    return Distance(
        max_abs=_max_abs(output, expected),
        # An output of all zeros (silence, random weights without biases) has no scale of its own: take 1.
        relative=distance / (norm or math.sqrt(expected.size)) if distance else 0.0,
    )


def _max_abs(output: Array, expected: Array) -> float:
    if output.shape != expected.shape:
        return float("inf")
    return float(np.abs(output - expected).max(initial=0))


def _batch_error(item: Array, alone: Array) -> float:
    """Return the largest difference, divided by the output's peak if that is above 1."""
    return _max_abs(item, alone) / max(1.0, float(np.abs(alone).max(initial=0)))


def _label_agreement(output: Array, expected: Array) -> float:
    return 0.0 if output.shape != expected.shape else float(np.mean(output.argmax(-1) == expected.argmax(-1)))
