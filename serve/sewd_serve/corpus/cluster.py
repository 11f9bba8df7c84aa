"""Shards on a Ray cluster: actors with a model each, which read recordings and write shards themselves.

What passes between them and this process is a shard's list of recordings and its counts: kilobytes.
"""

from __future__ import annotations

import socket
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from sewd_runtime.commands._command import complain
from sewd_runtime.errors import InferenceError, MissingPackageError
from sewd_serve.corpus.output import Counts
from sewd_serve.corpus.shards import Shard

ATTEMPTS = 3
"""Actors that may die of a shard before it is given up: one may be killed for another's memory."""


class Runs(Protocol):
    """What an actor has: a ``Worker``."""

    def run(self, shards: Iterable[Shard]) -> Iterable[tuple[str, Counts]]:
        """Write each shard, and return its name and what is in it."""


class _Actor:
    """What runs on the cluster. A method loads the model, since a constructor's errors end an actor."""

    def open(self, open_worker: Callable[[], Runs]) -> None:
        self._worker = open_worker()

    def run(self, shard: Shard) -> tuple[str, Counts]:
        [result] = self._worker.run([shard])
        return result


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Connect to a cluster, and return the module ``ray``. Raises MissingPackageError, OSError."""
    try:
        import ray
    except ImportError as error:
        raise MissingPackageError(f"--ray needs Ray: pip install 'sewd[ray]' ({error})") from error
    host, separator, port = address.rpartition(":")
    if separator and "://" not in address and port.isdecimal():
        try:  # Ray itself would try for many minutes
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise ConnectionError(error.errno, "no Ray cluster answers", address) from error
    ray.init(address=address, logging_level="error")
    try:
        yield ray
    finally:
        ray.shutdown()


def run_on_cluster(
    ray: Any,
    shards: Iterable[Shard],
    *,
    open_worker: Callable[[], Runs],
    total: int,
    threads: int,
    actors: int | None = None,
) -> Iterator[tuple[str, Counts | None]]:
    """Yield the name of each shard and what is in it as soon as it is written; None if it was given up.

    open_worker: loads a model in an actor. total: the number of shards. threads: CPUs of an actor.
    actors: how many; by default as many as the cluster has CPUs for. One that dies is replaced, as soon as
    there is room for it, and its shard runs again.
    Raises what an actor raises, and InferenceError if they die without having written anything.
    """
    most = actors or max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
    dispatch = _Dispatch(ray, iter(shards), open_worker, threads)
    yield from dispatch.results(min(most, total))


class _Dispatch:
    """Actors, and the shard that each has: one at a time, so that none waits behind another at the end."""

    def __init__(
        self, ray: Any, shards: Iterator[Shard], open_worker: Callable[[], Runs], threads: int
    ) -> None:
        self._ray, self._shards = ray, shards
        self._open_worker = ray.put(open_worker)
        self._kind = ray.remote(num_cpus=threads, max_restarts=0, max_task_retries=0)(_Actor)
        self._again: deque[Shard] = deque()
        self._deaths: Counter[str] = Counter()
        self._vain_deaths = 0  # since a shard was written
        self._calls: dict[Any, tuple[Any, Shard | None]] = {}  # of an actor that opens, no shard

    def results(self, actors: int) -> Iterator[tuple[str, Counts | None]]:
        """Start actors, and yield the results until no shard is left."""
        for _ in range(actors):
            self._start()
        while self._is_left():
            [call], _ = self._ray.wait(list(self._calls), num_returns=1)
            yield from self._answer(call, actors)

    def _is_left(self) -> bool:
        """Return whether a shard runs or waits; actors may still wait for room on the cluster."""
        if not self._again and (shard := next(self._shards, None)):
            self._again.append(shard)
        return bool(self._again) or any(shard for _, shard in self._calls.values())

    def _start(self) -> None:
        actor = self._kind.remote()
        self._calls[actor.open.remote(self._open_worker)] = actor, None

    def _next(self) -> Shard | None:
        return self._again.popleft() if self._again else next(self._shards, None)

    def _feed(self, actor: Any) -> None:
        if shard := self._next():
            self._calls[actor.run.remote(shard)] = actor, shard

    def _answer(self, call: Any, actors: int) -> Iterator[tuple[str, Counts | None]]:
        errors = self._ray.exceptions
        actor, shard = self._calls.pop(call)
        try:
            result = self._ray.get(call)
        except errors.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except errors.RayError as error:
            yield from self._replace(actor, shard, error, most=ATTEMPTS * actors)
            return
        self._feed(actor)
        if result is not None:
            self._vain_deaths = 0
            yield result

    def _replace(
        self, actor: Any, shard: Shard | None, error: Exception, *, most: int
    ) -> Iterator[tuple[str, None]]:
        """Start another actor, and put the shard of one that died before all others, or give it up."""
        self._ray.kill(actor)  # it may only be out of reach
        self._vain_deaths += 1
        reason = str(error).strip().partition("\n")[0]
        if self._vain_deaths > most:
            raise InferenceError(f"{most} actors died one after another: {reason}")
        if shard is not None:
            self._deaths[shard.name] += 1
            if self._deaths[shard.name] < ATTEMPTS:
                self._again.append(shard)
            else:
                complain(f"given up: {ATTEMPTS} actors died of it ({reason})", shard.name)
                yield shard.name, None
        self._start()
