"""Many recordings through one loaded model on all cores: read ahead, run in batches, answer in order.

Workers are threads: what takes time in them (decoding of audio, the inference library, numpy) releases the
interpreter's lock. Each takes what is most urgent: reading, up to a limit, then the oldest batch. Batches
are planned within groups of recordings that follow one another, so they depend on order and lengths alone,
and no result depends on the number of workers or on timing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from itertools import count
from queue import PriorityQueue
from threading import Event, Semaphore, Thread
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from sewd_runtime.inference.batching import plan_batches

Item = TypeVar("Item")
Result = TypeVar("Result")
Recording: TypeAlias = Any
"""What is read: an array runs in a batch with others, anything else alone."""

GROUP_SAMPLES = 10_000_000
"""Samples among which batches are planned: enough to find recordings of similar length."""

GROUP_FILES = 64

_READ, _RUN, _END = range(3)
_CLOSE_S = 10.0
"""How long tasks that run may take to end; a batch takes less, and Ctrl-C stops one that never ends."""


def run_recordings(
    items: Iterable[Item],
    *,
    read: Callable[[Item], Recording],
    run: Callable[[Sequence[Recording]], Iterable[Result]],
    workers: int,
    caught: tuple[type[Exception], ...],
) -> Generator[tuple[Item, Result | Exception], None, None]:
    """Yield each item with its result, or with the error among those caught, in order.

    read, run: called in several threads at once, ``run`` by as many as there are workers, with a batch of
    arrays. What ``read`` returns in place of an array, a recording too long to run whole, is run alone in
    the caller's thread when its turn comes; its ``run`` may yield a result and raise after it.
    Memory: up to two groups of samples, however many items there are and however slow the caller is.
    """
    with _Workers(workers) as pool:
        yield from _Pipeline(items, read, run, pool, caught).answers()


class _Pipeline(Generic[Item, Result]):
    """Items on their way: in order ``_pending``, whose batches were planned, ``_group``, and ``_reads``."""

    def __init__(
        self,
        items: Iterable[Item],
        read: Callable[[Item], Recording],
        run: Callable[[Sequence[Recording]], Iterable[Result]],
        pool: _Workers,
        caught: tuple[type[Exception], ...],
    ) -> None:
        self._unread: Iterator[Item] | None = iter(items)
        self._read, self._run, self._pool, self._caught = read, run, pool, caught
        self._reads: deque[tuple[Item, Future[Recording]]] = deque()
        self._group: list[tuple[Item, Recording]] = []
        self._pending: deque[tuple[Item, int, Recording | Future[Result]]] = deque()
        self._num_samples = 0  # of the group and of what is pending

    def answers(self) -> Iterator[tuple[Item, Result | Exception]]:
        """Yield each item with its result or error."""
        while True:
            self._read_ahead()
            self._collect()
            if self._pending and self._is_ready(self._pending[0][2]):
                item, num_samples, content = self._pending.popleft()
                self._num_samples -= num_samples
                yield from self._answer(item, content)
            elif self._pending or self._reads:
                heads = [self._pending[0][2]] if self._pending else []
                heads += [self._reads[0][1]] if self._reads else []
                wait(heads, timeout=1.0, return_when=FIRST_COMPLETED)  # Windows notices Ctrl-C after it
            elif self._unread is None:
                return

    def _read_ahead(self) -> None:
        """Start to read items, as many as may be read by now."""
        most = GROUP_FILES + 32 * self._pool.number
        while (
            self._unread is not None
            and len(self._reads) < 4 * self._pool.number
            and len(self._reads) + len(self._group) + len(self._pending) < most
            and self._num_samples < 2 * GROUP_SAMPLES
        ):
            try:
                item = next(self._unread)
            except StopIteration:
                self._unread = None
                return
            self._reads.append((item, self._pool.submit(_READ, partial(self._read, item))))

    def _collect(self) -> None:
        """Take what was read into the group, and start the group's batches when it is complete."""
        while self._reads and self._reads[0][1].done():
            item, read = self._reads.popleft()
            is_array = read.exception() is None and isinstance(read.result(), np.ndarray)
            if not is_array:
                self._start_group()
                self._pending.append((item, 0, read if read.exception() else read.result()))
                continue
            self._group.append((item, read.result()))
            self._num_samples += len(read.result())
            size = sum(len(samples) for _, samples in self._group)
            if size >= GROUP_SAMPLES or len(self._group) >= GROUP_FILES:
                self._start_group()
        if self._unread is None and not self._reads:
            self._start_group()

    def _start_group(self) -> None:
        group, self._group = self._group, []
        futures: list[Future[Result]] = [Future() for _ in group]
        for (item, samples), future in zip(group, futures, strict=True):
            self._pending.append((item, len(samples), future))
        for indices in plan_batches([len(samples) for _, samples in group]):
            batch = [(group[index][1], futures[index]) for index in indices]
            self._pool.submit(_RUN, partial(self._run_batch, batch))

    def _run_batch(self, batch: Sequence[tuple[Recording, Future[Result]]]) -> None:
        """Set the results of a batch; if it fails, one of it may be at fault, so each runs alone."""
        try:
            with self._pool.slots:
                results = list(self._run([samples for samples, _ in batch]))
        except BaseException as error:
            if len(batch) > 1 and isinstance(error, self._caught) and not self._pool.is_closed.is_set():
                for each in batch:
                    self._run_batch([each])
                return
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(result)

    @staticmethod
    def _is_ready(content: Recording | Future[Result]) -> bool:
        return not isinstance(content, Future) or content.done()

    def _answer(
        self, item: Item, content: Recording | Future[Result]
    ) -> Iterator[tuple[Item, Result | Exception]]:
        results: Iterator[Result] = iter(())
        result: Result | Exception
        try:
            if isinstance(content, Future):
                result = content.result()
            else:
                results = iter(self._run([content]))
                result = next(results)
        except self._caught as error:
            result = error
        yield item, result
        next(results, None)  # an interrupted run raises after its result


class _Workers:
    """Threads that run the most urgent task first, and the oldest of these.

    number: of tasks that may run a model at once, each with one of the ``slots``. There are at least two
    threads, so that one reads while the other runs.
    """

    def __init__(self, number: int) -> None:
        self.number, self.slots, self.is_closed = number, Semaphore(number), Event()
        self._numbers = count()
        self._queue: PriorityQueue[tuple[int, int, Callable[[], Any] | None, Future[Any] | None]] = (
            PriorityQueue()
        )
        self._threads = [Thread(target=self._work, daemon=True) for _ in range(max(2, number))]

    def __enter__(self) -> _Workers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """End the threads after the tasks that they run now."""
        self.is_closed.set()
        for _ in self._threads:
            self._queue.put((_END, next(self._numbers), None, None))
        deadline_s = time.monotonic() + _CLOSE_S
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))

    def submit(self, urgency: int, task: Callable[[], Any]) -> Future[Any]:
        """Queue a task and return its result to be."""
        future: Future[Any] = Future()
        self._queue.put((urgency, next(self._numbers), task, future))
        return future

    def _work(self) -> None:
        while True:
            _, _, task, future = self._queue.get()
            if task is None or future is None:
                return
            if not self.is_closed.is_set():
                try:
                    future.set_result(task())
                except BaseException as error:
                    future.set_exception(error)
            task = future = None  # they hold samples while this waits for the next
