"""The steps of a long recording in a file, so that an interrupted run can be resumed.

Lines of JSON: first the ``Task``, then one for each ``Step``. If a run was killed, the last line may be
incomplete; it is cut off.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sewd_runtime.bundle.schema import build, parse_json, to_plain
from sewd_runtime.errors import BundleError, JournalError
from sewd_runtime.long.steps import Step

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Everything that a transcript depends on: steps of another task are never resumed.

    audio_sha256, bundle_sha256: of the recording's file and of bundle.json. library: the inference library.
    options: those of the decoder and the segmentation, in words.
    """

    audio_sha256: str
    bundle_sha256: str
    precision: str
    provider: str
    library: str
    options: str
    format_version: int = FORMAT_VERSION


class Journal:
    """The steps of a task that are done, and the file to which further steps are added."""

    def __init__(self, path: Path, steps: list[Step], file: BinaryIO) -> None:
        self.path = path
        self.steps = steps
        self._file = file

    @classmethod
    def start(cls, path: Path, task: Task) -> Journal:
        """Start a new journal; raises JournalError if there is one: no work is thrown away unasked."""
        if path.exists():
            raise JournalError(
                f"{path}: was left by an interrupted run; continue it with --resume, or delete the file"
            )
        file = path.open("xb")
        journal = cls(path, [], file)
        journal._write(task)
        return journal

    @classmethod
    def resume(cls, path: Path, task: Task) -> Journal:
        """Open the journal that an interrupted run of the same task left, or start a new one.

        Raises JournalError if it belongs to another task or is damaged.
        """
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if not whole:
            path.unlink(missing_ok=True)
            return cls.start(path, task)
        first, *lines = whole.splitlines()
        _require_same(_read(Task, first, f"{path}, line 1"), task, path)
        steps = [_read(Step, line, f"{path}, line {number}") for number, line in enumerate(lines, start=2)]
        file = path.open("r+b")
        file.truncate(len(whole))
        file.seek(len(whole))
        return cls(path, steps, file)

    def add(self, step: Step) -> None:
        """Write a step, unless it is no further than the one before."""
        if not self.steps or step.done > self.steps[-1].done:
            self.steps.append(step)
            self._write(step)

    def close(self) -> None:
        """Close the file; it stays for another run."""
        self._file.close()

    def _write(self, line: Task | Step) -> None:
        self._file.write(json.dumps(to_plain(line), ensure_ascii=False).encode() + b"\n")
        self._file.flush()  # data handed to the system outlives the process


def _read(kind: Any, line: bytes, where: str) -> Any:
    try:
        return build(kind, parse_json(line.decode(), where=where), where=where)
    except (BundleError, UnicodeDecodeError) as error:
        raise JournalError(f"{where}: cannot be read: {error}; delete the file to start again") from error


def _require_same(written: Task, task: Task, path: Path) -> None:
    was, now = to_plain(written), to_plain(task)
    changed = [f"{key} was {was[key]} and is {now[key]}" for key in was if was[key] != now[key]]
    if changed:
        raise JournalError(
            f"{path}: belongs to another run: {'; '.join(changed)}; repeat that run, or delete the file"
        )
