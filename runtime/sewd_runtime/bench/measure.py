"""Interleaved rounds of timings, and their statistics."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from sewd_runtime.system.progress import show_progress

Key = TypeVar("Key")
Value = TypeVar("Value")


def summarize(rounds_s: Sequence[float]) -> dict[str, Any]:
    """Return the statistics of one case from its rounds, in seconds; percentiles are interpolated.

    spread: how much other work disturbed the case: from the fastest round to p90, over the median.
    """
    min_s = min(rounds_s)
    p50_s, p90_s = np.percentile(rounds_s, (50, 90)).tolist()
    spread = (p90_s - min_s) / p50_s
    return {"min_s": min_s, "p50_s": p50_s, "p90_s": p90_s, "spread": spread, "rounds_s": list(rounds_s)}


def interleave(
    cases: Mapping[Key, Callable[[], Value]], *, rounds: int, seed: int = 0
) -> dict[Key, list[Value]]:
    """Call every case once per round, in a new seeded order each round, and return each case's results.

    A disturbance then hits all cases alike, and no case always runs after the same one.
    """
    results: dict[Key, list[Value]] = {key: [] for key in cases}
    rng = random.Random(seed)  # noqa: S311 - an order, no secret
    order = [key for _ in range(rounds) for key in rng.sample(list(cases), len(cases))]
    for key in show_progress(order, total=len(order)):
        results[key].append(cases[key]())
    return results


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """Return a case that runs ``work`` and returns its wall time in seconds."""

    def run() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return run


def idle_share(seconds: float = 1.0) -> float:
    """Return the CPU time of this whole process while it sleeps, as a share of one core."""
    before, start = time.process_time(), time.perf_counter()
    time.sleep(seconds)
    return (time.process_time() - before) / (time.perf_counter() - start)
