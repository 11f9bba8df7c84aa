"""Interleaving: in every round each variant has one turn, in an order of that round's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np


class Timed(Protocol):
    """What takes turns."""

    def seconds(self, clip: str, *, repeats: int = 1) -> float:
        """Run a clip `repeats` times and return the seconds of the last."""


def order_of(names: Sequence[str], number: int, *, seed: int = 0) -> list[str]:
    """Return the order of round `number`, another in each: no one always follows the slowest."""
    return [names[index] for index in np.random.default_rng((seed, number)).permutation(len(names))]


def warm_up(workers: dict[str, Timed], clips: Sequence[str]) -> dict[str, Exception]:
    """Run every clip twice on every worker; those that raise are taken out and returned with their error."""
    failed: dict[str, Exception] = {}
    for name in list(workers):
        try:
            for clip in clips:
                workers[name].seconds(clip, repeats=2)
        except RuntimeError as error:  # noqa: PERF203 - one failure must not end the others
            failed[name] = error
            del workers[name]
    return failed


def run_rounds(
    workers: Mapping[str, Timed],
    clips: Sequence[str],
    *,
    rounds: int,
    repeats: int,
) -> dict[tuple[str, str], list[float]]:
    """Return the seconds of each (variant, clip), one number a round.

    In a turn a variant runs one clip `repeats` times, the last of which counts: the others bring its weights
    back into the processor's caches.
    """
    seconds: dict[tuple[str, str], list[float]] = {(name, clip): [] for name in workers for clip in clips}
    for number in range(rounds):
        for clip in clips:
            for name in order_of(list(workers), number):
                seconds[name, clip].append(workers[name].seconds(clip, repeats=repeats))
    return seconds
