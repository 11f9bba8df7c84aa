"""Laws of many recordings through one model: workers and timing change neither results nor order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sewd_runtime.inference import pipeline
from sewd_runtime.inference.batching import plan_batches
from sewd_runtime.inference.pipeline import run_recordings


class FaultyError(Exception):
    """An error that is caught."""


def samples_of(length: int) -> np.ndarray:
    return np.full(length, length, np.float32)


def lengths_of(batch: Sequence[np.ndarray]) -> list[int]:
    return [len(samples) for samples in batch]


def answers(lengths: Sequence[int], *, workers: int, **functions: Any) -> list[tuple[int, Any]]:
    functions = {"read": samples_of, "run": lengths_of, **functions}
    return list(run_recordings(lengths, workers=workers, caught=(FaultyError,), **functions))


@given(
    lengths=st.lists(st.integers(1, 50), max_size=20),
    workers=st.integers(1, 4),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_batches_results_and_order_depend_on_neither_workers_nor_timing(
    lengths: list[int], workers: int, seed: int
) -> None:
    random, batches = np.random.default_rng(seed), []

    def run(batch: Sequence[np.ndarray]) -> list[int]:
        time.sleep(random.uniform(0, 0.002))
        batches.append(lengths_of(batch))
        return lengths_of(batch)

    assert answers(lengths, workers=workers, run=run) == [(length, length) for length in lengths]
    planned = [[lengths[index] for index in batch] for batch in plan_batches(lengths)]
    assert sorted(batches) == sorted(planned)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_failure_anywhere_stops_nothing_else(workers: int) -> None:
    def read(length: int) -> np.ndarray:
        if length == 3:
            raise FaultyError("read")
        return samples_of(length)

    def run(batch: Sequence[np.ndarray]) -> list[int]:
        if 7 in lengths_of(batch):
            raise FaultyError("run")
        return lengths_of(batch)

    found = answers(range(1, 12), workers=workers, read=read, run=run)
    assert [item for item, _ in found] == list(range(1, 12))
    assert [str(result) for _, result in found if isinstance(result, FaultyError)] == ["read", "run"]
    expected = [1, 2, 4, 5, 6, 8, 9, 10, 11]
    assert [result for _, result in found if not isinstance(result, FaultyError)] == expected


@pytest.mark.parametrize("place", ["read", "run"])
def test_an_error_that_is_not_caught_is_raised_and_ends_the_threads(place: str) -> None:
    before = threading.active_count()

    def fail(_: Any) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        answers([1, 2, 3], workers=2, **{place: fail})
    assert threading.active_count() == before


def test_what_is_no_array_runs_alone_in_its_turn_in_the_callers_thread() -> None:
    here, alone = threading.current_thread(), []

    def read(length: int) -> Any:
        return iter([length]) if length % 4 == 0 else samples_of(length)

    def run(batch: Sequence[Any]) -> Iterator[int]:
        if not isinstance(batch[0], np.ndarray):
            alone.append((len(batch), threading.current_thread()))
            return iter(list(batch[0]))
        return iter(lengths_of(batch))

    assert answers(range(1, 10), workers=2, read=read, run=run) == [(one, one) for one in range(1, 10)]
    assert alone == [(1, here), (1, here)]


def test_an_interrupted_recording_raises_after_its_result() -> None:
    def run(batch: Sequence[Any]) -> Iterator[str]:
        yield "so far"
        raise KeyboardInterrupt

    found = run_recordings([1, 2], read=iter, run=run, workers=1, caught=(TypeError,))
    assert isinstance(next(found)[1], TypeError)  # iter(1), read in a thread
    found.close()
    found = run_recordings(["a", "b"], read=iter, run=run, workers=1, caught=())
    assert next(found) == ("a", "so far")
    with pytest.raises(KeyboardInterrupt):
        next(found)


def test_no_more_is_read_than_the_limit_however_slow_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "GROUP_SAMPLES", 100)
    monkeypatch.setattr(pipeline, "GROUP_FILES", 4)
    num_read, most, workers = [0], 0, 2

    def read(length: int) -> np.ndarray:
        num_read[0] += 1
        return samples_of(length)

    found = run_recordings([50] * 60, read=read, run=lengths_of, workers=workers, caught=())
    for number, _ in enumerate(found, 1):
        time.sleep(0.002)
        most = max(most, num_read[0] - number)
    assert num_read == [60]
    assert most <= 2 * 100 // 50 + 4 * workers


def test_all_workers_run_at_once_and_no_more() -> None:
    running, most, lock = [0], [0], threading.Lock()
    met = threading.Barrier(3)

    def run(batch: Sequence[np.ndarray]) -> list[int]:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        met.wait(timeout=30)  # passes only when three run at once
        with lock:
            running[0] -= 1
        return lengths_of(batch)

    lengths = [100_000 + 30_000 * number for number in range(6)]
    assert [result for _, result in answers(lengths, workers=3, run=run)] == lengths
    assert most == [3]


def test_a_caller_that_leaves_ends_the_threads() -> None:
    before = threading.active_count()
    found = run_recordings(range(1, 1000), read=samples_of, run=lengths_of, workers=2, caught=())
    assert next(found) == (1, 1)
    found.close()
    assert threading.active_count() == before
