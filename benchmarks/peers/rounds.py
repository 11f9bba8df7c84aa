"""Interleaving: in every round each variant has one turn at each clip, in an order drawn for that round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

Fail = Callable[[str, Exception], None]


class Timed(Protocol):
    """A worker; raises RuntimeError when it fails."""

    def seconds(self, clip: str, *, repeats: int = 1) -> float:
        """Run a clip `repeats` times and return the seconds of the last."""


def order_of(names: Sequence[str], number: int, *, seed: int = 0) -> list[str]:
    """Return the random order of round `number`, so that no variant always follows the slowest."""
    return [names[index] for index in np.random.default_rng((seed, number)).permutation(len(names))]


def warm_up(workers: Mapping[str, Timed], clips: Sequence[str], *, fail: Fail) -> float:
    """Run every clip twice on every worker, and return the seconds of a round of single runs.

    fail: called with the name of each worker that raises.
    """
    total = 0.0
    for name, worker in workers.items():
        try:
            total += sum(worker.seconds(clip, repeats=2) for clip in clips)
        except RuntimeError as error:  # noqa: PERF203 - one failure must not stop the others
            fail(name, error)
    return total


def run_rounds(
    workers: Mapping[str, Timed], clips: Sequence[str], *, rounds: int, repeats: int, fail: Fail
) -> dict[tuple[str, str], list[float]]:
    """Return the seconds of each (clip, variant), one number per round, without variants that raise.

    In a turn a variant runs one clip `repeats` times. Only the last run counts: the others load its weights
    into the CPU's caches again.
    """
    seconds: dict[tuple[str, str], list[float]] = {(clip, name): [] for clip in clips for name in workers}
    failed: set[str] = set()
    for number in range(rounds):
        for clip in clips:
            for name in order_of(list(workers), number):
                if name in failed:
                    continue
                try:
                    seconds[clip, name].append(workers[name].seconds(clip, repeats=repeats))
                except RuntimeError as error:
                    failed.add(name)
                    fail(name, error)
    return {(clip, name): series for (clip, name), series in seconds.items() if name not in failed}
