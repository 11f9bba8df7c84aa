"""Interleaved rounds of timings, and their statistics."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from sewd_runtime.system.progress import show_progress

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds of one case, one value per round, in order."""

    rounds_s: tuple[float, ...]

    @property
    def min_s(self) -> float:
        """The fastest round."""
        return min(self.rounds_s)

    @property
    def p50_s(self) -> float:
        """The median."""
        return float(np.percentile(self.rounds_s, 50))

    @property
    def p90_s(self) -> float:
        """The 90th percentile, interpolated between rounds."""
        return float(np.percentile(self.rounds_s, 90))

    @property
    def spread(self) -> float:
        """How much other work disturbed the case: from the fastest round to p90, over the median."""
        return (self.p90_s - self.min_s) / self.p50_s


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
