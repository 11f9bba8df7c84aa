"""A real server in a process of its own, as a user starts it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

START_S = 60
_SERVE = ("-m", "sewd_runtime", "serve", "--port", "0")


def with_limits(**limits: float) -> Sequence[str]:
    """A program for RunningServer with limits that no option sets."""
    return (str(Path(__file__).with_name("starting.py")), json.dumps(limits), *_SERVE[2:])


def wait_until(is_so: Callable[[], bool], timeout_s: float = START_S) -> None:
    """Wait for something that happens soon."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


class RunningServer:
    """``sewd serve`` on a free port of this machine; its log is kept line by line.

    program: other arguments of Python that serve on a free port.
    """

    def __init__(
        self,
        *arguments: str,
        log: Path,
        environment: dict[str, str] | None = None,
        program: Sequence[str] | None = None,
    ) -> None:
        self.log, self.folder = log, log.parent / f"{log.name}-files"
        self.folder.mkdir(exist_ok=True)
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *(program or _SERVE), *arguments],
                stderr=output,
                stdout=output,
                env=os.environ | {"TMPDIR": str(self.folder)} | (environment or {}),
            )
        self.url = self._wait()
        self.client = httpx2.Client(base_url=self.url, timeout=60)

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def _wait(self) -> str:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.search(r"http://[\d.]+:\d+", self.log.read_text()):
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"the server did not start: {self.log.read_text()}")

    def transcribe(self, path: Path, **fields: Any) -> Any:
        """POST a recording; the answer's body, parsed if it is JSON."""
        answer = self.post(path, **fields)
        assert answer.status_code == 200, answer.text
        is_json = answer.headers["content-type"] == "application/json"
        return answer.json() if is_json else answer.text

    def post(self, path: Path, endpoint: str = "/v1/audio/transcriptions", **fields: Any) -> Any:
        with path.open("rb") as file:
            return self.client.post(endpoint, files={"file": (path.name, file)}, data=fields)

    def metric(self, name: str) -> float:
        """The value of a metric, whose labels are part of its name."""
        for line in self.client.get("/metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        return 0.0

    def worker_pid(self) -> int:
        """The process that runs the models: the server's only child."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        [pid] = [
            int(child)
            for child in children
            if b"sewd_serve.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]
        return pid

    def spool(self) -> Path:
        """The folder of uploads, which is the process's own."""
        [folder] = [path for path in self.folder.iterdir() if path.name.startswith("sewd-")]
        return folder

    def wait_ready(self, timeout_s: float = START_S) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.client.get("/health/ready").status_code == 200:
                return
            time.sleep(0.05)
        raise AssertionError("the server is not ready")

    def log_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def stop(self) -> int:
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def running(*arguments: str, log: Path, **options: Any) -> Iterator[RunningServer]:
    server = RunningServer(*arguments, log=log, **options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
