"""The servers that are measured, each in processes of its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import ROOT

_START_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server: its port, its process, and how long it took to be ready."""

    port: int
    pid: int
    start_s: float

    def resident_mb(self) -> float:
        """Return the memory of its processes, in 10^6 bytes, shared pages counted once (PSS)."""
        return sum(map(_pss, _tree(self.pid))) / 1e6


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[Server]:
    """Start a server that logs its address, and stop it at the end."""
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT)
    try:
        port = _await_port(process, log)
        yield Server(port=port, pid=process.pid, start_s=time.perf_counter() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def sewd_command(*arguments: str) -> list[str]:
    """Return the command of `sewd serve` on a free port."""
    return [sys.executable, "-m", "sewd_runtime", "serve", "--port", "0", "--no-page", *arguments]


def other_command(python: str, library: str, *arguments: str) -> list[str]:
    """Return the command of the small app around another library (`other_app.py`)."""
    return [python, str(ROOT / "benchmarks/serving/other_app.py"), library, *arguments]


def _await_port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text()):
            return int(found[1])
        time.sleep(0.01)
    raise RuntimeError(f"the server did not start:\n{log.read_text()}")


def _tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _tree(int(child)))]


def _pss(pid: int) -> int:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    return int(found[1]) * 1024 if found else 0
