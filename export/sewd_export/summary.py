"""What an export answers: whether the bundle can be shipped, one row per precision, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np

from sewd_export.parity.report import ParityReport, aligned
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.bundle.manifest import TASKS, Manifest, Parity
from sewd_runtime.inference.golden import read_golden
from sewd_runtime.inference.session import pad
from sewd_runtime.inference.variants import find_variant
from sewd_runtime.system.terminal import printable

_CLIP_S, _RUNS, _ENOUGH_S = 10, 3, 5.0


def measure_speeds(path: Path) -> dict[str, float]:
    """Return precision → seconds of audio per second on this CPU, the best of up to three runs of 10 s.

    path: a bundle's. Raises what loading a model raises.
    """
    bundle = open_bundle(path)
    manifest = bundle.manifest
    clip = pad([np.resize(read_golden(bundle)[0], _CLIP_S * manifest.sample_rate_hz)])
    speeds = {}
    for name in manifest.precisions:
        session = find_variant(manifest, "cpu", name).open(bundle)
        session.run(*clip)  # the first run allocates
        seconds: list[float] = []
        while len(seconds) < _RUNS and sum(seconds) < _ENOUGH_S:
            start_s = perf_counter()
            session.run(*clip)
            seconds.append(perf_counter() - start_s)
        speeds[name] = _CLIP_S / min(seconds)
    return speeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A bundle, how its precisions compare with the original, and how fast they are here.

    reports: of the precisions compared now; the manifest has the evidence of the others.
    failed: precision → why it failed now. is_written: whether failed precisions were left out of the bundle.
    """

    path: Path
    manifest: Manifest
    reports: Sequence[ParityReport]
    failed: Mapping[str, str]
    speeds: Mapping[str, float] = field(default_factory=dict)
    is_written: bool = True

    def __str__(self) -> str:
        """Return the verdict, the table, and the next command."""
        return "\n".join(self._lines())

    @property
    def verdict(self) -> str:
        """The answer on one line."""
        path = printable(str(self.path))
        good = ", ".join(name for name in self.manifest.precisions if name not in self.failed)
        failed = ", ".join(self.failed)
        if self.failed and not self.is_written:
            return f"do not ship: {path} differs from the original in {failed}"
        if self.failed:
            return f"incomplete: {path} matches the original in {good}; {failed} failed and was left out"
        changed = [
            f"{name} changes {count} of {self._evidence[name].cases}"
            for name in self._evidence
            if (count := self._changed(name))
        ]
        if changed:
            what = "texts" if self.manifest.ctc else "labels"
            return f"check the {what}: {path} is within tolerance, but {', '.join(changed)}"
        return f"ready to ship: {path} matches the original in {good}"

    @property
    def details(self) -> str:
        """The parity tables: a row per utterance."""
        return "\n\n".join(map(str, self.reports))

    @property
    def _evidence(self) -> dict[str, Parity]:
        """Precision → how it compared, last of all."""
        evidence = {name: entry.parity for name, entry in self.manifest.precisions.items()}
        return evidence | {report.precision: report.evidence for report in self.reports}

    def _changed(self, name: str) -> int:
        """Return how many texts or classes of a precision differ from the original's."""
        parity = self._evidence[name]
        share = parity.transcript_agreement if self.manifest.ctc else parity.label_agreement
        return 0 if share is None else parity.cases - round(share * parity.cases)

    def _lines(self) -> Iterator[str]:
        yield from (self.verdict, "")
        evidence, has_texts = self._evidence, self.manifest.ctc is not None
        rates = {parity.original_wer for parity in evidence.values() if parity.original_wer is not None}
        header = ["precision", "size", "largest error"]
        header += ["texts equal"] if has_texts else []
        header += [f"WER (original {' or '.join(f'{rate:.2%}' for rate in sorted(rates))})"] if rates else []
        rows = [(*header, *(["speed here"] if self.speeds else []), "")]
        for name, parity in evidence.items():
            rows.append((name, *self._row(name, parity, has_texts=has_texts, has_words=bool(rates))))
        yield from aligned(rows)
        if self.speeds:
            yield f"speed: seconds of audio per second, {_CLIP_S} seconds at once on this CPU"
        yield from ("", f"next: {self._next()}")

    def _row(self, name: str, parity: Parity, *, has_texts: bool, has_words: bool) -> Iterator[str]:
        entry = self.manifest.precisions.get(name)
        yield "" if entry is None else f"{self.manifest.files[entry.file].size_bytes / 1e6:.1f} MB"
        yield f"{parity.max_abs:.1e}"
        if has_texts:
            yield f"{parity.cases - self._changed(name)} of {parity.cases}"
        if has_words:
            yield "" if parity.wer is None else f"{parity.wer:.2%}"
        if self.speeds:
            yield f"{self.speeds[name]:.0f}x" if name in self.speeds else ""
        yield "FAILED" if name in self.failed else ""

    def _next(self) -> str:
        """Return the command that uses the fastest precision, of those that change no text."""
        path = shlex.quote(str(self.path))
        if self.failed and not self.is_written:
            return f"sewd-export CHECKPOINT -o {path} {' '.join(f'--{name}' for name in self.failed)}"
        equal = [name for name in self.speeds if not self._changed(name)]
        fastest = max(equal, key=lambda name: self.speeds[name], default=None)
        precision = f" --precision {fastest}" if fastest else ""
        output = " -o states" if self.manifest.task == "encoding" else ""
        return f"sewd {TASKS[self.manifest.task].command} --model {path}{precision} speech.flac{output}"
