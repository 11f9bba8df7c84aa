"""What is known of a long recording so far, in a file: work that was broken off goes on from there.

Lines of JSON: first what was being done (``Task``), then a line for each ``Step``. Where a run was killed the
last line may be torn; it is cut off.
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
    """What makes a transcript what it is: another task's steps are never taken up.

    audio_sha256, bundle_sha256: of the recording's file, and of bundle.json. library: what runs the model.
    options: of the decoder and the segmentation, in words.
    """

    audio_sha256: str
    bundle_sha256: str
    precision: str
    provider: str
    library: str
    options: str
    format_version: int = FORMAT_VERSION


class Journal:
    """The steps of a task that were done before, and the file that further ones are added to."""

    def __init__(self, path: Path, steps: list[Step], file: BinaryIO) -> None:
        self.path = path
        self.steps = steps
        self._file = file

    @classmethod
    def start(cls, path: Path, task: Task) -> Journal:
        """Begin a new one; raises JournalError where there is one: work is not thrown away unasked."""
        if path.exists():
            raise JournalError(
                f"{path}: is left of a run that was broken off; go on with --resume, or delete it"
            )
        file = path.open("xb")
        journal = cls(path, [], file)
        journal._write(task)
        return journal

    @classmethod
    def resume(cls, path: Path, task: Task) -> Journal:
        """Open the one that a broken run of the same task left; begin a new one where there is none.

        Raises JournalError: it is of another task, or damaged.
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
        """Write down a step, unless it is no further than the one before."""
        if not self.steps or step.done > self.steps[-1].done:
            self.steps.append(step)
            self._write(step)

    def close(self) -> None:
        """Leave it for another run."""
        self._file.close()

    def _write(self, line: Task | Step) -> None:
        self._file.write(json.dumps(to_plain(line), ensure_ascii=False).encode() + b"\n")
        self._file.flush()  # what the system has outlives the process


def _read(kind: Any, line: bytes, where: str) -> Any:
    try:
        return build(kind, parse_json(line.decode(), where=where), where=where)
    except (BundleError, UnicodeDecodeError) as error:
        raise JournalError(f"{where}: cannot be read: {error}; delete the file to begin again") from error


def _require_same(found: Task, task: Task, path: Path) -> None:
    was, now = to_plain(found), to_plain(task)
    changed = [f"{key} was {was[key]} and is {now[key]}" for key in was if was[key] != now[key]]
    if changed:
        raise JournalError(
            f"{path}: is of another run: {'; '.join(changed)}; repeat that one, or delete the file"
        )
