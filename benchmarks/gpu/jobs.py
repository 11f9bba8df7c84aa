"""One job is one variant of one model; finished jobs are kept, so an interrupted run resumes."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import results
from benchmarks.gpu.measure import Settings, compute_logits, describe, time_all, used_memory_mb
from benchmarks.gpu.models import Prepared, parity_clips, prepare
from benchmarks.gpu.variant import REFERENCE, UnavailableError, Variant, variants_of
from benchmarks.parity import compare
from sewd_export.precisions import PRECISIONS

Say = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Benchmark:
    """The state of a run; `file` holds every finished job, and the one in progress.

    ends_s: by time.monotonic(). A job begins only if one half longer than the longest so far would fit.
    """

    work: Path
    file: Path
    device: str
    settings: Settings
    ends_s: float
    say: Say = print
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    longest_s: float = 0.0

    def run(self, models: Sequence[str], variants: Sequence[str] | None = None) -> int:
        """Do jobs while there is time; return how many are left."""
        self._read()
        left = 0
        for model in models:
            left += self._run_model(model, variants)
        return left

    def _run_model(self, model: str, only: Sequence[str] | None) -> int:
        if not self._has_time():
            return 1
        self.say(f"{model}: prepare")
        with self._timed():
            prepared = prepare(model, self.work)
        wanted = {
            name: variant
            for name, variant in variants_of(prepared).items()
            if only is None or name in only or name == REFERENCE
        }
        left = 0
        for name, variant in wanted.items():
            key = f"{model}: {name}"
            if key in self.rows:
                continue
            if not self._has_time():
                left += 1
                continue
            self.say(key)
            # A job that ends the process (a fault in a driver) leaves this row, and is not tried again.
            self._keep(key, {"model": model, "variant": name, "failed": "it ended the process"})
            with self._timed():
                self._keep(key, {"model": model, "variant": name, **self._measure(prepared, name, variant)})
        return left

    def _has_time(self) -> bool:
        return time.monotonic() + 1.5 * self.longest_s < self.ends_s

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.longest_s = max(self.longest_s, time.monotonic() - begun)

    def _measure(self, prepared: Prepared, name: str, variant: Variant) -> dict[str, Any]:
        """Return a variant's row; one that cannot run gives the reason."""
        before = used_memory_mb(self.device)
        try:
            run = variant.open(prepared, self.device)
            clips = parity_clips()
            if variant.few_shapes:
                clips = dict(list(clips.items())[:2])
            parity = self._compare(prepared, name, variant, compute_logits(run, clips))
            times = time_all(run, self.settings.few() if variant.few_shapes else self.settings)
        except UnavailableError as error:
            return {"failed": str(error)}
        except Exception as error:  # each library has errors of its own
            return {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        row = {"parity": parity, "times": times, "memory_mb": used_memory_mb(self.device) - before}
        del run
        gc.collect()
        return row

    def _compare(
        self, prepared: Prepared, name: str, variant: Variant, found: Mapping[str, Any]
    ) -> dict[str, Any]:
        path = prepared.folder / f"reference.{self.device}.npz"
        if name == REFERENCE:
            np.savez(path, **found)
        with np.load(path) as kept:
            reference = {clip: kept[clip] for clip in found}
        parity = compare(found, reference)
        if variant.precision is not None:
            tolerance = PRECISIONS[variant.precision].tolerance
            peak = max(float(np.abs(logits).max()) for logits in reference.values())
            parity["within"] = bool(
                parity["max_abs"] <= tolerance.max_abs_at(peak) and parity["relative"] <= tolerance.relative
            )
        return parity

    def _read(self) -> None:
        content = results.read(self.file)
        if content is not None:
            if content["device"] != self.device or content["machine"] != describe(self.device):
                raise SystemExit(f"{self.file}: results of another machine or device; name another --out")
            self.rows = {f"{row['model']}: {row['variant']}": row for row in content["rows"]}

    def _keep(self, key: str, row: dict[str, Any]) -> None:
        self.rows[key] = row
        machine = describe(self.device)
        content = {"device": self.device, "machine": machine, "rows": list(self.rows.values())}
        results.write_rows(self.file, content)
