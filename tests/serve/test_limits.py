"""Limits of bytes, seconds, channels, time and places: what is beyond them ends at once, and by name."""

import io
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.serve.running import RunningServer, running, wait_until, with_limits
from tests.serve.sockets import PATH, ask, connected, form, head, part, receive
from tests.serve.test_files import CLIPS

WAV = CLIPS[0].read_bytes()
RATE_HZ = 8000


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with small limits."""
    with running(
        *("--max-bytes", "200000", "--max-duration", "600", "--workers", "1"),
        log=tmp_path_factory.mktemp("strict") / "log",
        program=with_limits(idle_s=1.0, upload_s=3.0),
    ) as server:
        yield server


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with few places, and the usual patience."""
    with running("--queue", "4", log=tmp_path_factory.mktemp("narrow") / "log") as server:
        yield server


@pytest.fixture(autouse=True)
def _is_idle_afterwards(strict: RunningServer) -> Iterator[None]:
    yield
    check_idle(strict)


def check_idle(server: RunningServer) -> None:
    """Nothing is left of earlier requests: their places and files are free, and the next one is served."""
    wait_until(lambda: not any(server.spool().iterdir()))
    for _ in range(5):
        assert server.transcribe(CLIPS[0])["text"]


def silence(minutes: int, *, suffix: str = "flac") -> bytes:
    """Silence of a length that its size does not suggest."""
    content = io.BytesIO()
    with sf.SoundFile(content, "w", RATE_HZ, 1, format=suffix.upper()) as file:
        for _ in range(minutes):
            file.write(np.zeros(60 * RATE_HZ, np.int16))
    return content.getvalue()


def hide_length(flac: bytes) -> bytes:
    """Set the number of samples that a FLAC states to 0, which means that it is unknown."""
    content = bytearray(flac)
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    return bytes(content)


def most_memory(pid: int) -> int:
    """The most memory that a process has used, in bytes."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in line]
    return int(line.split()[1]) << 10


BOMBS = {
    "flac": silence(120),
    "flac of unknown length": hide_length(silence(120)),
    "ogg": silence(30, suffix="ogg"),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("vad", ["false", "true"])
def test_hours_in_a_few_bytes_are_refused_while_they_are_decoded(
    strict: RunningServer, bomb: bytes, vad: str
) -> None:
    """Neither read whole nor run."""
    assert len(bomb) < 200_000
    before = most_memory(strict.worker_pid())
    answer = ask(strict.port, head(len(form(bomb, sewd_vad=vad))), form(bomb, sewd_vad=vad))
    assert (answer.status, answer.error["code"]) == (400, "audio_too_long")
    assert most_memory(strict.worker_pid()) < before + (64 << 20)


def test_a_stated_length_beyond_the_limit_is_refused_before_the_body(strict: RunningServer) -> None:
    answer = ask(strict.port, head(10_000_000))  # of which nothing is ever sent
    assert (answer.status, answer.error["code"]) == (413, "file_too_large")
    answer = ask(strict.port, head(10_000_000, more="Expect: 100-continue\r\n"))
    assert answer.status == 413


def test_more_bytes_than_the_limit_are_refused_while_they_arrive(strict: RunningServer) -> None:
    body = form(bytes(200_001))
    answer = ask(strict.port, head(len(body)), body)
    assert (answer.status, answer.error["code"]) == (413, "file_too_large")
    with connected(strict.port, head(None, more="Transfer-Encoding: chunked\r\n")) as connection:
        block = part("file", bytes(100_000), file_name="a").removesuffix(b"\r\n")
        for _ in range(3):
            connection.sendall(b"%x\r\n%s\r\n" % (len(block), block))
            block = bytes(100_000)
        assert receive(connection).status == 413


def test_slow_headers_close_the_connection(strict: RunningServer) -> None:
    with connected(strict.port, b"GET /health/live HTTP/1.1\r\nX: ") as connection:
        assert connection.recv(1) == b""
    with connected(strict.port) as connection:
        assert connection.recv(1) == b""


def test_a_slow_second_request_closes_the_connection_too(strict: RunningServer) -> None:
    with connected(strict.port, b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n") as connection:
        assert receive(connection).status == 200
        connection.sendall(b"GET /health")
        assert connection.recv(1) == b""


def test_a_body_that_stops_is_answered_with_408(strict: RunningServer) -> None:
    body = form(WAV)
    for sent in (b"", body[:10], body[:-50]):
        answer = ask(strict.port, head(len(body)), sent)
        assert (answer.status, answer.error["code"]) == (408, "request_timeout")


def test_a_body_that_trickles_is_answered_with_408(strict: RunningServer) -> None:
    body = form(WAV)
    with connected(strict.port, head(len(body)), body[:1000]) as connection:
        connection.settimeout(0.2)
        place = 1000
        while True:
            connection.sendall(body[place : place + 1])
            place += 1
            try:
                connection.recv(1, 2)  # MSG_PEEK
                break
            except TimeoutError:
                assert place < 1100
        assert receive(connection).status == 408


def test_the_rest_of_a_body_that_is_answered_is_not_awaited(strict: RunningServer) -> None:
    with connected(strict.port, head(10_000_000)) as connection:
        assert receive(connection).status == 413
        connection.settimeout(0.2)
        for _ in range(100):
            connection.sendall(b"x")
            try:
                assert connection.recv(1) == b""
                break
            except ConnectionResetError:
                break
            except TimeoutError:
                continue
        else:
            raise AssertionError("the connection is still open")


@contextmanager
def full(server: RunningServer) -> Iterator[None]:
    """Fill every place with uploads that have only begun."""
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(connected(server.port, head(len(form(WAV))), form(WAV)[:500]))
        wait_until(lambda: len([*server.spool().iterdir()]) == 4)
        yield


def test_a_full_queue_is_answered_before_the_body_is_read(narrow: RunningServer) -> None:
    refused = narrow.metric('sewd_rejected_total{reason="queue_full"}')
    with full(narrow):
        answer = ask(narrow.port, head(1000))  # the body is never sent
        assert (answer.status, answer.error["code"]) == (429, "queue_full")
        assert answer.error["type"] == "rate_limit_error"
        assert int(answer.headers["retry-after"]) >= 1
        assert narrow.client.get("/health/live").status_code == 200
    assert narrow.metric('sewd_rejected_total{reason="queue_full"}') == refused + 1


def test_clients_that_leave_free_their_places(narrow: RunningServer) -> None:
    left = f'sewd_requests_total{{endpoint="{PATH}",status="499"}}'
    before = narrow.metric(left)
    with full(narrow):
        pass
    wait_until(lambda: narrow.metric(left) == before + 4)
    check_idle(narrow)


def test_a_full_disk_is_answered_with_507(narrow: RunningServer) -> None:
    """Files of the server cannot grow beyond 100 kB, as on a disk without room for more."""
    pid = narrow.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (100_000, before[1]))
    body = form(bytes(300_000))
    answer = ask(narrow.port, head(len(body)), body)
    assert (answer.status, answer.error["code"]) == (507, "no_space")
    assert narrow.transcribe(CLIPS[0])["text"]  # a smaller one has room
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    answer = ask(narrow.port, head(len(body)), body)
    assert answer.status == 400  # received, and not audio
    check_idle(narrow)
