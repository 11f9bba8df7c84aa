"""Clients that leave in every phase, and requests with random faults: nothing is left of them."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.serve.random_faults import faulty_server, resources, run
from tests.serve.running import RunningServer, wait_until
from tests.serve.sockets import PATH, connected, form, head
from tests.serve.test_files import CLIPS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with faulty_server(tmp_path_factory.mktemp("faulty")) as server:
        yield server


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Half an hour of speech."""
    path = tmp_path_factory.mktemp("long") / "long.flac"
    samples, rate_hz = sf.read(CLIPS[0], dtype="int16")
    seconds = len(samples) / rate_hz
    sf.write(path, np.tile(samples, round(1800 / seconds)), rate_hz)
    return path.read_bytes()


def left(server: RunningServer) -> float:
    return server.metric(f'sewd_requests_total{{endpoint="{PATH}",status="499"}}')


@pytest.mark.parametrize("stream", ["true", "false"])
def test_a_client_that_leaves_stops_its_recording(
    server: RunningServer, long_recording: bytes, stream: str
) -> None:
    """While it runs (and, with words under way, while it is streamed), and while it waits in the queue."""
    before, busy = left(server), cpu_s(server)
    body = form(long_recording, stream=stream)
    connections = []
    for _ in range(4):
        with connected(server.port) as connection:
            connection.sendall(head(len(body)) + body)
            connections.append(connection.dup())
    if stream == "true":
        content = b""
        while b"transcript.text.delta" not in content:
            block = connections[0].recv(1000)
            assert block, content
            content += block
        assert json.loads(content.split(b"data: ")[1].split(b"\n")[0])["delta"]
    else:
        wait_until(lambda: cpu_s(server) > busy + 0.3)
    for connection in connections:
        connection.close()
    wait_until(lambda: left(server) == before + 4)
    wait_until(lambda: not any(server.spool().iterdir()))
    wait_until(lambda: is_idle(server))


def cpu_s(server: RunningServer) -> float:
    """The CPU time of the worker, in hundredths of a second at best."""
    fields = Path(f"/proc/{server.worker_pid()}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def is_idle(server: RunningServer) -> bool:
    """Whether the worker uses no CPU for a while; a recording of half an hour would keep it busy for long."""
    before = cpu_s(server)
    time.sleep(0.3)
    return cpu_s(server) - before <= 0.02


def test_random_faults_leave_nothing(server: RunningServer) -> None:
    run(server, 50)
    before = resources(server)
    outcomes = run(server, 300, seed=1)
    assert {"200", "400", "left"} <= set(outcomes)
    for name in ("server files", "worker files"):
        wait_until(lambda name=name: resources(server)[name] <= before[name])
    assert resources(server)["server kB"] < before["server kB"] + (20 << 10)
