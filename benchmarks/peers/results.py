"""The tables in the results of a comparison: times, and ratios derived from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import results

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


def read(folder: Path, comparison: str) -> dict[str, Any] | None:
    """Return a comparison's results, None where there are none."""
    return results.read(path_of(folder, comparison))
