"""A process that makes and tries mutants, one after another, and is replaced when one of them ends it."""

from __future__ import annotations

import faulthandler
import importlib
import json
import multiprocessing
import os
import resource
import sys
import time
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from fuzz.mutants import Mutant

ACCEPTED, REFUSED, WRONG, CRASHED, HUNG, MEMORY = OUTCOMES = (
    *("accepted", "refused by name", "wrong exception", "crashed", "hung", "out of memory"),
)
FAULTS = (WRONG, CRASHED, HUNG, MEMORY)
START_S = 600
"""For the imports of torch on a busy machine."""
END_S = 10
"""From the end of a process's pipe to that of the process."""

_MAX_MESSAGE = 4_000


class KindMissingError(Exception):
    """A kind of input needs a package that is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a mutant; detail: the error, or the signal."""

    mutant: Mutant
    outcome: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one mutant: CPU time, and the watchdog's time; of its process: memory that it can write to."""

    cpu_s: float = 30
    watchdog_s: float = 300
    memory_bytes: int = 2 << 30


class Worker:
    """Tries mutants of the kind of a module in a process of its own.

    folder: for the mutant's files; it is written again for each.
    """

    def __init__(self, module: str, folder: Path, limits: Limits) -> None:
        self._module, self._folder, self._limits = module, folder, limits
        self._process: Any = None
        self._pipe: Any = None

    def run(self, source: str | Path) -> Result:
        """Try a mutant: made from random numbers of a seed, or read from a folder of the corpus."""
        self.start()
        mutant = Mutant(files={}, note="it was not made yet")
        try:
            self._pipe.send(source)
            mutant = self._receive(self._limits.watchdog_s)
            outcome, detail = self._receive(self._limits.watchdog_s)
        except TimeoutError:
            outcome, detail = HUNG, f"more than {self._limits.watchdog_s:g} s"
        except (EOFError, OSError):  # the second: the process had ended before
            self._process.join(END_S)
            outcome, detail = CRASHED, f"exit status {self._process.exitcode}: {self._last_words()}"
        if outcome in FAULTS:
            self.close()
        return Result(mutant=mutant, outcome=outcome, detail=detail)

    def close(self) -> None:
        """End the process; ``run`` starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def start(self) -> None:
        """Start the process, unless it runs already; raises KindMissingError."""
        if self._process is not None:
            return
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        arguments = (other, self._module, self._folder, self._limits, self._folder.with_suffix(".log"))
        process = context.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        self._process = process
        other.close()
        try:
            missing = self._receive(START_S)
        except (EOFError, TimeoutError) as error:
            self.close()
            raise RuntimeError(
                f"the worker for {self._module} does not start: {self._last_words()}"
            ) from error
        if missing:
            self.close()
            raise KindMissingError(missing)

    def _receive(self, seconds: float) -> Any:
        if not self._pipe.poll(seconds):
            raise TimeoutError
        return self._pipe.recv()

    def _last_words(self) -> str:
        log = self._folder.with_suffix(".log")
        lines = log.read_text(errors="replace").split("\n") if log.exists() else []
        return " | ".join(line.strip() for line in lines if line.strip())[:300]


def _serve(pipe: Connection, module: str, folder: Path, limits: Limits, log: Path) -> None:
    """Try the mutants that are asked for, until the pipe is closed."""
    log.parent.mkdir(parents=True, exist_ok=True)
    os.dup2(os.open(os.devnull, os.O_RDWR), sys.stdout.fileno())
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), sys.stderr.fileno())
    faulthandler.enable(sys.stderr)
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory_bytes, limits.memory_bytes))
    try:
        kind = importlib.import_module(module)
    except ImportError as error:
        pipe.send(str(error))
        return
    pipe.send("")
    while True:
        try:
            source = pipe.recv()
        except EOFError:
            return
        mutant = Mutant.load(source) if isinstance(source, Path) else kind.make(Random(source))  # noqa: S311
        mutant.write(folder)
        pipe.send(mutant)
        begin_s = time.process_time()
        outcome = _attempt(kind, folder)
        used_s = time.process_time() - begin_s
        pipe.send(outcome if used_s <= limits.cpu_s else (HUNG, f"{used_s:.1f} s of CPU time"))


def _attempt(kind: Any, folder: Path) -> tuple[str, str]:
    from sewd_runtime.errors import SewdError

    try:
        kind.attempt(folder)
    except (SewdError, OSError) as error:
        text = f"{type(error).__name__}: {error}"
        long = len(text) > _MAX_MESSAGE
        return (WRONG, f"a message of {len(text)} characters: {text[:200]}") if long else (REFUSED, text)
    except MemoryError as error:
        return MEMORY, repr(error)[:200]
    except BaseException as error:  # whatever it is, it has no name of ours
        return WRONG, f"{type(error).__module__}.{type(error).__name__}: {json.dumps(str(error)[:300])}"
    return ACCEPTED, ""
