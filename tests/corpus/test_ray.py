"""``sewd corpus --ray``: the bytes of a run without Ray, whatever dies; `.ci/run` installs Ray for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sewd_serve.corpus.cluster import ATTEMPTS, run_on_cluster
from sewd_serve.corpus.manifest import Recording
from sewd_serve.corpus.output import Counts
from sewd_serve.corpus.shards import Cut, Shard, cut_shards
from tests.corpus.conftest import Corpus, contents

ray = pytest.importorskip("ray", reason="needs sewd[ray]")
from ray.cluster_utils import Cluster  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two machines of two CPUs each, simulated."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        cluster.add_node(num_cpus=2)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


@pytest.fixture
def connection(cluster: Cluster) -> Iterator[Any]:
    ray.init(address=cluster.address, logging_level="error")
    try:
        yield ray
    finally:
        ray.shutdown()


class Stub:
    """A model that runs shards in no time, or dies of some."""

    def __init__(self, deadly: dict[str, Path] | None = None) -> None:
        self._deadly = deadly or {}

    def run(self, shards: Iterable[Shard]) -> Iterator[tuple[str, Counts]]:
        for shard in shards:
            marker = self._deadly.get(shard.name)
            if marker is not None and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield shard.name, Counts(recordings=len(shard.recordings))


class Doomed(Stub):
    """A model of which every actor dies, each time."""

    def run(self, shards: Iterable[Shard]) -> Iterator[tuple[str, Counts]]:
        os.kill(os.getpid(), signal.SIGKILL)
        yield from ()


def some_shards(number: int) -> list[Shard]:
    recordings = (Recording(id=str(place), path="a.wav") for place in range(number))
    return list(cut_shards(recordings, Cut(recordings=1), task=""))


def run(shards: list[Shard], open_worker: Any, actors: int = 2) -> list[tuple[str, Counts | None]]:
    return list(
        run_on_cluster(ray, shards, open_worker=open_worker, total=len(shards), threads=1, actors=actors)
    )


def test_every_shard_is_run_once(connection: Any) -> None:
    shards = some_shards(20)
    assert sorted(name for name, _ in run(shards, Stub)) == [shard.name for shard in shards]


def test_a_shard_whose_actor_is_killed_runs_again(connection: Any, tmp_path: Path) -> None:
    shards = some_shards(6)
    deadly = {shards[place].name: tmp_path / str(place) for place in (0, 3)}
    results = run(shards, partial(Stub, deadly))
    assert sorted(name for name, _ in results) == [shard.name for shard in shards]
    assert all(counts for _, counts in results) and all(path.exists() for path in deadly.values())


def test_a_shard_of_which_actors_die_is_given_up(connection: Any, capsys: pytest.CaptureFixture[str]) -> None:
    [shard] = some_shards(1)
    assert run([shard], Doomed, actors=1) == [(shard.name, None)]
    assert f"{ATTEMPTS} actors died" in capsys.readouterr().err


def test_an_error_of_an_actor_ends_the_run(connection: Any) -> None:
    def refuse() -> Stub:
        raise FileNotFoundError("no such bundle")

    with pytest.raises(FileNotFoundError, match=r"^no such bundle$"):
        run(some_shards(3), refuse)


def test_a_cluster_that_is_not_there_is_refused(
    corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert corpus.run(tmp_path, "--ray", "127.0.0.1:1") == 3
    assert capsys.readouterr().err == "sewd: 127.0.0.1:1: no Ray cluster answers\n"


def test_a_cluster_writes_the_bytes_of_one_process(
    cluster: Cluster, corpus: Corpus, unbroken: Path, tmp_path: Path
) -> None:
    assert corpus.run(tmp_path, "--ray", cluster.address, "--workers", "2") == 1
    assert contents(tmp_path) == contents(unbroken)


def test_a_killed_driver_loses_and_doubles_nothing(
    cluster: Cluster, corpus: Corpus, unbroken: Path, tmp_path: Path
) -> None:
    arguments = corpus.arguments(tmp_path, "--ray", cluster.address, "--workers", "1")
    command = [sys.executable, "-m", "sewd_runtime", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline_s = time.monotonic() + 60
            while not list(tmp_path.glob("*.jsonl")) and time.monotonic() < deadline_s:
                time.sleep(0.005)
        finally:
            process.kill()
    assert corpus.run(tmp_path, "--ray", cluster.address, "--workers", "2") == 1
    assert contents(tmp_path) == contents(unbroken)


def test_a_machine_that_is_lost_costs_its_shards_a_second_run(
    cluster: Cluster, corpus: Corpus, unbroken: Path, tmp_path: Path
) -> None:
    lost = cluster.add_node(num_cpus=4)
    command = [sys.executable, "-m", "sewd_runtime"]
    command += corpus.arguments(tmp_path, "--ray", cluster.address, "--workers", "3")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline_s = time.monotonic() + 60
            while not list(tmp_path.glob("*.jsonl")) and time.monotonic() < deadline_s:
                time.sleep(0.005)
            cluster.remove_node(lost, allow_graceful=False)
            _, errors = process.communicate(timeout=90)
        finally:
            process.kill()
    assert process.returncode == 1, errors
    assert contents(tmp_path) == contents(unbroken)
