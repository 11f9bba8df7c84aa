"""The driver's side of a worker: start it, send requests, stop it between its turns, end it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_END_S = 10


class WorkerError(RuntimeError):
    """A variant cannot be opened or run; the message gives the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a worker opens, and where it may run.

    cores: those it is pinned to; it may use all if there are none.
    """

    python: str
    opener: str
    path: Path
    options: Mapping[str, str]
    clips: Path
    threads: int
    cores: Sequence[int]
    variables: Mapping[str, str]
    log: Path


class Worker:
    """One variant's process, stopped by SIGSTOP except while it serves a request.

    Otherwise the spinning threads of some libraries would share the cores with the next variant.
    """

    def __init__(self, launch: Launch) -> None:
        """Start the process and open the variant; raises WorkerError."""
        launch.log.parent.mkdir(parents=True, exist_ok=True)
        with launch.log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [launch.python, "-m", "benchmarks.peers.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(launch.variables),
                text=True,
                encoding="utf-8",
            )
        self._log = launch.log
        self._asleep = False
        first = {
            "opener": launch.opener,
            "path": str(launch.path),
            "options": dict(launch.options),
            "clips": str(launch.clips),
            "threads": launch.threads,
            "cores": list(launch.cores),
        }
        try:
            self._ask(first)
        except BaseException:
            self.close()
            raise

    def seconds(self, clip: str, *, repeats: int = 1) -> float:
        """Return the seconds of the last of `repeats` runs."""
        return float(self._ask({"run": clip, "repeats": repeats})["seconds"])

    def write_logits(self, utterances: Path, to: Path) -> None:
        """Write the logits of all utterances in an `.npz` to another."""
        self._ask({"logits": str(utterances), "to": str(to)})

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError, ValueError):
            self._wake()
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def _ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._wake()
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"the process ended, code {self._process.wait()}: see {self._log}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        self._sleep()
        return answer

    def _wake(self) -> None:
        if self._asleep:
            os.kill(self._process.pid, signal.SIGCONT)
            self._asleep = False

    def _sleep(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)
        self._asleep = True

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
