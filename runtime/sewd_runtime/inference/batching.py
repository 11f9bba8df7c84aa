"""Which recordings run together in a batch."""

from collections.abc import Sequence

BUDGET_SAMPLES = 96_000
"""The largest cost of a batch, about 6 s at 16 kHz: many short recordings or one long one.

On a CPU, batches make recordings below 2 s up to a third faster. Beyond this size they gain nothing or lose,
because activations no longer fit the caches. SEW-D-tiny takes 220 bytes per sample.
"""

QUADRATIC_SAMPLES = 800_000
"""The length at which attention, which is quadratic, takes as much memory as everything else."""

MIN_FILL = 0.8
"""A batch takes no item shorter than this share of its longest, because padding costs time too."""


def cost(batch: int, num_samples: int) -> float:
    """Estimate the memory of a batch padded to ``num_samples``, in samples of a short recording."""
    return batch * num_samples * (1 + num_samples / QUADRATIC_SAMPLES)


def plan_batches(lengths: Sequence[int], *, budget: float = BUDGET_SAMPLES) -> list[list[int]]:
    """Group items of similar length, longest first, so that the largest allocation comes first.

    lengths: samples of each item. Returns the indices of each batch; every index is in exactly one, and equal
    lengths keep their order. An item that costs more than the budget runs alone.
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
