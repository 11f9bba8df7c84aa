"""Which recordings run together."""

from collections.abc import Sequence

BUDGET_SAMPLES = 96_000
"""Cost of one batch, about 6 s at 16 kHz: room for many short recordings or one long one.

A CPU gains up to a third from running recordings below 2 s together, and nothing, or less than nothing, from
more than this at once: what layers hand on no longer fits its caches. SEW-D-tiny takes 220 bytes a sample.
"""

QUADRATIC_SAMPLES = 800_000
"""Length at which attention, which grows with the square, takes as much memory as everything else."""

MIN_FILL = 0.8
"""A batch takes no item shorter than this share of its longest: padding costs time like speech."""


def cost(batch: int, num_samples: int) -> float:
    """Estimate the memory of a batch padded to ``num_samples``, in samples of a short recording."""
    return batch * num_samples * (1 + num_samples / QUADRATIC_SAMPLES)


def plan_batches(lengths: Sequence[int], *, budget: float = BUDGET_SAMPLES) -> list[list[int]]:
    """Group items of similar length, longest first: the largest memory is asked for once, at the start.

    lengths: samples of each item. Returns the indices of each batch; every index stands in exactly one, and
    equal lengths keep their order. An item that costs more than the budget runs alone.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda item: -lengths[item]):
        if batches:
            batch = batches[-1]
            longest = lengths[batch[0]]
            if lengths[index] >= MIN_FILL * longest and cost(len(batch) + 1, longest) <= budget:
                batch.append(index)
                continue
        batches.append([index])
    return batches
