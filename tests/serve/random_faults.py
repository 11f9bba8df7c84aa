"""Requests with random faults, many at once: python -m tests.serve.random_faults 10000"""

import argparse
import json
import random
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.serve.running import RunningServer, running, wait_until, with_limits
from tests.serve.sockets import Answer, check_error, connected, form, head, receive
from tests.serve.test_files import CLIPS

AT_ONCE = 12
CONTENTS = [clip.read_bytes() for clip in CLIPS]
FIELDS = {
    "model": ["digits", "whisper-1"],
    "response_format": ["json", "text", "srt", "vtt", "verbose_json", "diarized_json"],
    "stream": ["true", "false", "maybe"],
    "sewd_vad": ["true"],
    "sewd_hotwords": ["one=5", "=", "one=nan"],
    "language": ["en", "\0"],
    "timestamp_granularities[]": ["word", "letter"],
}


def make(random_: random.Random) -> tuple[bytes, bytes]:
    """The headers and the body of a request, mutated or not."""
    names = random_.sample(sorted(FIELDS), random_.randrange(4))
    body = form(random_.choice(CONTENTS), **{name: random_.choice(FIELDS[name]) for name in names})
    for _ in range(random_.choice([0, 0, 1, 5])):
        body = mutate(body, random_)
    length: int | None = len(body)
    more = ""
    kind = random_.randrange(8)
    if kind == 0:
        length = max(0, len(body) + random_.choice([-1000, -1, 1, 1000]))
    elif kind == 1:
        length, more = None, "Transfer-Encoding: chunked\r\n"
        body = b"".join(chunk(block) for block in split(body, random_)) + b"0\r\n\r\n"
    begin = head(length, more=more)
    return (mutate(begin, random_) if random_.random() < 0.1 else begin), body


def mutate(content: bytes, random_: random.Random) -> bytes:
    """Change, drop, repeat or insert a few bytes."""
    place = random_.randrange(len(content) + 1)
    end = min(len(content), place + random_.choice([1, 4, 100, 5000]))
    new = {
        "change": random_.randbytes(end - place),
        "drop": b"",
        "repeat": content[place:end] * 2,
        "insert": random_.choice([b"\r\n\r\n", b"--b0undary", b"\0", b"--b0undary--\r\n"])
        + content[place:end],
    }
    return content[:place] + new[random_.choice(sorted(new))] + content[end:]


def split(content: bytes, random_: random.Random) -> Iterator[bytes]:
    while content:
        size = random_.choice([1, 10, 1000, 50_000])
        yield content[:size]
        content = content[size:]


def chunk(block: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(block), block)


def send(port: int, seed: int) -> str:
    """Send one request as a client that may leave, stop, or be slow; return what became of it."""
    random_ = random.Random(seed)
    begin, body = make(random_)
    everything = begin + body
    way = random_.choice(["whole", "whole", "whole", "leave", "half-close", "reset", "leave later", "twice"])
    cut = random_.randrange(len(everything)) if way in ("leave", "half-close", "reset") else len(everything)
    with suppress(BrokenPipeError, ConnectionResetError), connected(port) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            for block in split(everything[:cut], random_) if random_.random() < 0.2 else [everything[:cut]]:
                connection.sendall(block)
            if way == "twice":
                connection.sendall(everything)
        if way == "half-close":
            connection.shutdown(socket.SHUT_WR)
        elif way == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        elif way == "leave later":
            connection.settimeout(random_.choice([0.001, 0.05, 0.2]))
            with suppress(TimeoutError):
                connection.recv(random_.choice([1, 100]))
        if way in ("leave", "reset", "leave later"):
            return "left"
        return check(receive(connection))
    return "closed"


def check(answer: Answer) -> str:
    """Return the status of an answer. Raises AssertionError for one that must not be."""
    if answer.status == 0:
        return "closed"
    assert answer.headers["x-request-id"]
    assert answer.status < 500, answer.body
    if answer.status >= 400:
        check_error(json.loads(answer.body))
    return str(answer.status)


def resources(server: RunningServer) -> dict[str, int]:
    """Open files, threads and memory in kB of the two processes."""
    counts = {}
    for name, pid in (("server", server.process.pid), ("worker", server.worker_pid())):
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        numbers = {line.split(":")[0]: line.split()[1] for line in status if len(line.split()) > 1}
        counts[f"{name} files"] = len([*Path(f"/proc/{pid}/fd").iterdir()])
        counts[f"{name} threads"] = int(numbers["Threads"])
        counts[f"{name} kB"] = int(numbers["VmRSS"])
    return counts


@contextmanager
def faulty_server(folder: Path) -> Iterator[RunningServer]:
    """A server that does not wait long for clients."""
    program = with_limits(idle_s=1.0, upload_s=3.0)
    with running("--queue", "256", log=folder / "log", program=program) as server:
        yield server


def run(server: RunningServer, count: int, seed: int = 0) -> Counter[str]:
    """Send requests, and check that nothing is left of them."""
    pid = server.worker_pid()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seeds = [seed * 1_000_000 + number for number in range(count)]
        outcomes = Counter(pool.map(lambda each: send(server.port, each), seeds))
    wait_until(lambda: not any(server.spool().iterdir()))
    assert server.transcribe(CLIPS[0])["text"]
    assert server.worker_pid() == pid, "the inference process died"
    log = server.log.read_text()
    assert "exception" not in log and "Traceback" not in log, log[-3000:]
    return outcomes


def main() -> None:
    """Print what became of the requests, and what the processes held before and after."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, faulty_server(Path(folder)) as server:
        print(run(server, options.count // 10, options.seed + 1), resources(server), sep="\n")
        print(run(server, options.count, options.seed), resources(server), sep="\n")
        assert server.stop() == 0


if __name__ == "__main__":
    sys.exit(main())
