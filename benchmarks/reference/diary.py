"""The log of a training run: losses and validation results, one JSON object per line."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from benchmarks.reference.training import Training


class Diary:
    """The log of a run, and its time."""

    def __init__(self, path: Path, before_s: float) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._began = time.monotonic() - before_s
        self._losses: list[dict[str, float]] = []

    @property
    def wall_s(self) -> float:
        """Seconds of training, including those before it was resumed."""
        return time.monotonic() - self._began

    def note(
        self, training: Training, losses: dict[str, float], learning_rate: float, every: int = 50
    ) -> None:
        """Collect losses, and write their means every ``every`` steps."""
        self._losses.append(losses)
        if training.step % every == 0:
            mean = {name: round(fmean(one[name] for one in self._losses), 4) for name in losses}
            self._losses.clear()
            self.write(training, mean | {"learning_rate": round(learning_rate, 6)})

    def write(self, training: Training, content: Mapping[str, object]) -> None:
        """Write one line."""
        line = {"step": training.step, **content, "wall_s": round(self.wall_s, 1)}
        self._file.write(json.dumps(line) + "\n")
