"""The result of a comparison with the original, as numbers and as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sewd_export.errors import ParityError
from sewd_export.precisions import PRECISIONS
from sewd_runtime.bundle.manifest import Parity, Tolerance
from sewd_runtime.system.terminal import printable

MOVEMENTS = 4  # an error of up to four times the original's own movement is allowed


class Distance(NamedTuple):
    """How far two outputs of one utterance are apart: the largest difference, and by norm."""

    max_abs: float
    relative: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """How one utterance compares; an agreement is None if the task has no labels or text.

    error: from the original's output.
    movement: how far that moves itself when its input is rounded differently.
    words, wrong_words, original_wrong_words: against the utterance's transcript; 0 if it has none.
    """

    name: str
    error: Distance
    movement: Distance
    peak: float
    label_agreement: float | None
    transcript_agreement: bool | None
    words: int = 0
    wrong_words: int = 0
    original_wrong_words: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """How one precision compares with the original, and batches with their items."""

    precision: str
    tolerance: Tolerance
    cases: tuple[Case, ...]
    batch_error: float

    @property
    def evidence(self) -> Parity:
        """The largest errors and the mean agreements, as in the manifest."""
        labels = [case.label_agreement for case in self.cases if case.label_agreement is not None]
        texts = [case.transcript_agreement for case in self.cases if case.transcript_agreement is not None]
        words = sum(case.words for case in self.cases)
        return Parity(
            cases=len(self.cases),
            max_abs=float(np.max([case.error.max_abs for case in self.cases])),  # NaN wins, unlike with max()
            relative=float(np.max([case.error.relative for case in self.cases])),
            batch_error=self.batch_error,
            label_agreement=float(np.mean(labels)) if labels else None,
            transcript_agreement=float(np.mean(texts)) if texts else None,
            words=words,
            wer=sum(case.wrong_words for case in self.cases) / words if words else None,
            original_wer=sum(case.original_wrong_words for case in self.cases) / words if words else None,
        )

    @property
    def failures(self) -> list[str]:
        """One line for each tolerance that is missed, the worst first; NaN misses every one."""
        return [line for _, line in sorted(self._misses(), key=lambda miss: -miss[0])]

    def _misses(self) -> Iterator[tuple[float, str]]:
        """Yield how many times too large each error is, NaN as infinity, and its line."""
        limits = self.tolerance
        errors = [
            (f"{printable(case.name)!r}: {kind} error", error, limit)
            for case in self.cases
            for kind, error, limit in (
                (
                    "absolute",
                    case.error.max_abs,
                    max(limits.max_abs_at(case.peak), MOVEMENTS * case.movement.max_abs),
                ),
                (
                    "relative",
                    case.error.relative,
                    max(limits.relative, MOVEMENTS * case.movement.relative),
                ),
            )
        ]
        errors.append(("batches: difference of an item", self.batch_error, limits.batch_error))
        for what, error, limit in errors:
            if not error <= limit:
                yield math.inf if math.isnan(error) else error / limit, f"{what} {error:.2g} > {limit:.2g}"

    def check(self) -> None:
        """Raise ParityError with the worst miss, how many others there are, and what to try."""
        if lines := self.failures:
            row = PRECISIONS.get(self.precision)  # a bundle may have one of another version
            others = f" (and {len(lines) - 1} more)" if lines[1:] else ""
            raise ParityError(
                f"{self.precision} failed verification on {lines[0]}{others}: "
                f"{row.remedy if row else 'export it again'}",
                report=str(self),
            )

    def __str__(self) -> str:
        """Return the table printed with every export; "moves" is the original's own uncertainty."""
        rows = [("utterance", "max abs", "moves", "relative", "labels", "text")]
        rows += [
            (
                printable(case.name),
                f"{case.error.max_abs:.1e}",
                f"{case.movement.max_abs:.1e}",
                f"{case.error.relative:.1e}",
                "" if case.label_agreement is None else f"{case.label_agreement:.2%}",
                ""
                if case.transcript_agreement is None
                else ("equal" if case.transcript_agreement else "DIFFERS"),
            )
            for case in self.cases
        ]
        rows.append(("batch against one by one", f"{self.batch_error:.1e}", "", "", "", ""))
        limits = self.tolerance
        rows.append(("tolerance", f"{limits.max_abs:.0e}", "", f"{limits.relative:.0e}", "", ""))
        return "\n".join([f"{self.precision} against the original", *aligned(rows), *self._word_errors()])

    def _word_errors(self) -> list[str]:
        total = self.evidence
        if total.wer is None:
            return []
        return [f"word error rate {total.wer:.2%}, original {total.original_wer:.2%}: {total.words} words"]


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align the first column left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    cells = [
        [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        for row in rows
    ]
    return ["  ".join(row).rstrip() for row in cells]
