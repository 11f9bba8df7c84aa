from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sewd_runtime.inference.batching import BUDGET_SAMPLES, MIN_FILL, cost, plan_batches

LENGTHS = st.lists(st.integers(1, 3_000_000), max_size=60)
BUDGETS = st.integers(1, 10_000_000)


@given(LENGTHS, BUDGETS)
def test_every_item_exactly_once(lengths: list[int], budget: int) -> None:
    batches = plan_batches(lengths, budget=budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(batches)


@given(LENGTHS, BUDGETS)
def test_only_a_lone_item_exceeds_the_budget(lengths: list[int], budget: int) -> None:
    for batch in plan_batches(lengths, budget=budget):
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or cost(len(batch), longest) <= budget


@given(LENGTHS, BUDGETS)
def test_little_padding(lengths: list[int], budget: int) -> None:
    for batch in plan_batches(lengths, budget=budget):
        ours = [lengths[index] for index in batch]
        assert min(ours) >= MIN_FILL * max(ours)


@given(LENGTHS)
def test_longest_first_and_equals_in_order(lengths: list[int]) -> None:
    order = [index for batch in plan_batches(lengths) for index in batch]
    assert order == sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))


@given(st.integers(1, 50), st.integers(1, 3_000_000))
def test_cost_grows_faster_than_length(batch: int, length: int) -> None:
    assert cost(batch, 2 * length) > 2 * cost(batch, length)
    assert cost(2 * batch, length) == 2 * cost(batch, length)


def test_equal_short_items_share_a_batch() -> None:
    assert plan_batches([16_000] * 5) == [list(range(5))]
    assert plan_batches([10 * BUDGET_SAMPLES] * 2) == [[0], [1]]
    assert plan_batches([]) == []
