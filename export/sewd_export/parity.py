"""Proof that a candidate computes what the original computes.

The oracle is transformers' model in float32, one utterance at a time, unpadded, its input made by the
original feature extractor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Wav2Vec2FeatureExtractor

from sewd_export.checkpoint import Checkpoint, reference_model
from sewd_export.errors import ParityError
from sewd_export.families import geometry
from sewd_export.signals import Signal, golden_signal, ragged_batches, signals
from sewd_export.vocabulary import read_vocabulary
from sewd_runtime.decode import greedy, log_softmax
from sewd_runtime.manifest import CtcEntry, Parity, Tolerance
from sewd_runtime.session import Session, pad
from sewd_runtime.vocabulary import Vocabulary

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
class Case:
    """How one utterance compared; the agreements are None where the task has none."""

    name: str
    max_abs: float
    relative: float
    label_agreement: float | None
    transcript_agreement: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """How one precision compared with the original, and a batch with its items."""

    precision: str
    tolerance: Tolerance
    cases: tuple[Case, ...]
    batch_error: float

    @property
    def evidence(self) -> Parity:
        """The worst errors and the mean agreements, as the manifest keeps them."""
        labels = [case.label_agreement for case in self.cases if case.label_agreement is not None]
        texts = [case.transcript_agreement for case in self.cases if case.transcript_agreement is not None]
        return Parity(
            cases=len(self.cases),
            max_abs=float(np.max([case.max_abs for case in self.cases])),  # NaN wins, unlike with max()
            relative=float(np.max([case.relative for case in self.cases])),
            batch_error=self.batch_error,
            label_agreement=float(np.mean(labels)) if labels else None,
            transcript_agreement=float(np.mean(texts)) if texts else None,
        )

    @property
    def failures(self) -> list[str]:
        """One line for each bound that is missed; NaN misses every bound."""
        limits = self.tolerance
        lines = [
            f"{case.name}: {kind} error {error:.2e} exceeds {limit:.0e}"
            for case in self.cases
            for kind, error, limit in (
                ("absolute", case.max_abs, limits.max_abs),
                ("relative", case.relative, limits.relative),
            )
            if not error <= limit
        ]
        if not self.batch_error <= limits.batch_error:
            lines.append(
                f"batches: an item differs by {self.batch_error:.2e}, more than {limits.batch_error:.0e}"
            )
        return lines

    def check(self) -> None:
        """Raise ParityError that lists every missed bound."""
        if self.failures:
            raise ParityError(f"{self.precision} is not the original: {'; '.join(self.failures)}")

    def __str__(self) -> str:
        """Return the table that is printed with every export."""
        rows = [("utterance", "max abs", "relative", "labels", "text")]
        rows += [
            (
                case.name,
                f"{case.max_abs:.1e}",
                f"{case.relative:.1e}",
                "" if case.label_agreement is None else f"{case.label_agreement:.2%}",
                ""
                if case.transcript_agreement is None
                else ("equal" if case.transcript_agreement else "DIFFERS"),
            )
            for case in self.cases
        ]
        rows.append(("batch against one by one", f"{self.batch_error:.1e}", "", "", ""))
        rows.append(("tolerance", f"{self.tolerance.max_abs:.0e}", f"{self.tolerance.relative:.0e}", "", ""))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = [
            "  ".join(
                [row[0].ljust(widths[0])]
                + [cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)]
            )
            for row in rows
        ]
        return "\n".join(line.rstrip() for line in (f"{self.precision} against the original", *lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An utterance and what the original makes of it, `(frames, num_outputs)` or `(classes,)` float32."""

    name: str
    samples: Array
    expected: Array


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
            return Answer(name=signal.name, samples=signal.samples, expected=oracle(signal.samples))

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
            relative=distance / norm if norm else (0.0 if distance == 0 else float("inf")),
            label_agreement=_label_agreement(found, expected) if has_labels else None,
            transcript_agreement=None
            if self.vocabulary is None
            else self._text(found) == self._text(expected),
        )

    def _text(self, logits: Array) -> str:
        assert self.vocabulary is not None
        (hypothesis,) = greedy(
            log_softmax(logits[None]),
            np.array([len(logits)]),
            self.vocabulary.blank_id,
            canonical_ids=self.vocabulary.canonical_ids,
        )
        return self.vocabulary.text(hypothesis.token_ids)


def _max_abs(found: Array, expected: Array) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max(initial=0))


def _batch_error(item: Array, alone: Array) -> float:
    """Return the largest difference over the output's peak, or over 1 where the peak is lower."""
    return _max_abs(item, alone) / max(1.0, float(np.abs(alone).max(initial=0)))


def _label_agreement(found: Array, expected: Array) -> float:
    return 0.0 if found.shape != expected.shape else float(np.mean(found.argmax(-1) == expected.argmax(-1)))
