"""Interleaving: in every round each variant has one turn at each clip, in an order of that round's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

Fail = Callable[[str, Exception], None]


class Timed(Protocol):
    """What takes turns; raises RuntimeError where it cannot."""

    def seconds(self, clip: str, *, repeats: int = 1) -> float:
        """Run a clip `repeats` times and return the seconds of the last."""


def order_of(names: Sequence[str], number: int, *, seed: int = 0) -> list[str]:
    """Return the order of round `number`, another in each: no one always follows the slowest."""
    return [names[index] for index in np.random.default_rng((seed, number)).permutation(len(names))]


def warm_up(workers: Mapping[str, Timed], clips: Sequence[str], *, fail: Fail) -> float:
    """Run every clip twice on every worker, and return the seconds that a round of single runs takes.

    `fail` is told of those that raise.
    """
    total = 0.0
    for name, worker in workers.items():
        try:
            total += sum(worker.seconds(clip, repeats=2) for clip in clips)
        except RuntimeError as error:  # noqa: PERF203 - one failure must not end the others
            fail(name, error)
    return total


def run_rounds(
    workers: Mapping[str, Timed], clips: Sequence[str], *, rounds: int, repeats: int, fail: Fail
) -> dict[tuple[str, str], list[float]]:
    """Return the seconds of each (clip, variant), one number a round; none of a variant that raises.

    In a turn a variant runs one clip `repeats` times, the last of which counts: the others bring its weights
    back into the processor's caches.
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
    return {(clip, name): found for (clip, name), found in seconds.items() if name not in failed}
