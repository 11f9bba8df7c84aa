"""The file of one run: everything that was measured, and what follows from it by arithmetic."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Seconds = Mapping[tuple[int, str, str], Sequence[float]]
"""(threads, clip, variant) → seconds, one number a round."""


def ratios_of(baseline: Sequence[float], rounds: Sequence[float]) -> dict[str, float]:
    """Return median and quartiles of how many times faster a variant was in each round than the baseline."""
    lower, median, upper = np.quantile(np.divide(baseline, rounds), (0.25, 0.5, 0.75))
    return {"median": float(median), "lower": float(lower), "upper": float(upper)}


def time_rows(seconds: Seconds) -> list[dict[str, Any]]:
    """Return one row for each measured series: the raw seconds of the rounds, their median and minimum."""
    return [
        {
            "threads": threads,
            "clip_s": float(clip),
            "variant": variant,
            "median_s": float(np.median(rounds)),
            "min_s": min(rounds),
            "seconds": list(rounds),
        }
        for (threads, clip, variant), rounds in seconds.items()
    ]


def ratio_rows(seconds: Seconds, baselines: Mapping[str, Iterable[str]]) -> list[dict[str, Any]]:
    """Return how many times faster than its baselines each variant was: a ratio a round, and their spread.

    baselines: variant → those it is set against; one that was not measured is left out.
    """
    return [
        {
            "threads": threads,
            "clip_s": float(clip),
            "variant": variant,
            "against": baseline,
            **ratios_of(seconds[threads, clip, baseline], rounds),
        }
        for (threads, clip, variant), rounds in seconds.items()
        for baseline in baselines.get(variant, ())
        if baseline != variant and (threads, clip, baseline) in seconds
    ]


def find(rows: Iterable[Mapping[str, Any]], **wanted: Any) -> Mapping[str, Any] | None:
    """Return the row that has these values, None if there is none."""
    return next((row for row in rows if all(row[key] == value for key, value in wanted.items())), None)


def path_of(folder: Path, comparison: str) -> Path:
    """Return where a comparison's results are."""
    return folder / f"peers_{comparison}.json"


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a result: a line for every row of a table, so that a difference can be read."""
    parts = [f"{json.dumps(key)}: {_lines(value)}" for key, value in content.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _lines(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f" {json.dumps(row, ensure_ascii=False)}" for row in value) + "\n]"
    return json.dumps(value, ensure_ascii=False)


def read(folder: Path, comparison: str) -> dict[str, Any] | None:
    """Return a comparison's results, None where there are none."""
    path = path_of(folder, comparison)
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
