"""The steps of a long recording in a file, so that an interrupted run can be resumed.

Lines of JSON: first the ``Task``, then one for each ``Step``. Each is sealed: its first key is the SHA-256 of
the seal of the line before and of the rest of the line, so that a line that is changed or missing is noticed.
If a run was killed, the last line may be incomplete; it is cut off.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sewd_runtime.bundle.schema import build, parse_json, to_plain
from sewd_runtime.errors import BundleError, JournalError
from sewd_runtime.long.steps import Step
from sewd_runtime.long.windows import START
from sewd_runtime.system.writing import open_locked
from sewd_runtime.text.transcript import Character, Segment, Word

FORMAT_VERSION = 2

_SEAL = b'{"seal": "'
_SEAL_LETTERS = 64
_MAX_S = 10**9
"""Thirty years."""

Line = TypeVar("Line")


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
    """The steps of a task that are done, and the file to which further steps are added.

    While it is open, the file is locked: another run that opens it gets a JournalError.
    """

    def __init__(self, path: Path, task: Task) -> None:
        """Open the file, or create it; ``start`` and ``resume`` say what may be in it."""
        self.path = path
        self.steps: list[Step] = []
        try:
            self._file = os.fdopen(open_locked(path), "r+b", buffering=0)
        except BlockingIOError as error:
            raise JournalError(f"{path}: another run is writing it; wait until that has ended") from error
        except OSError as error:
            raise JournalError(f"{path}: cannot be used as a journal: {error.strerror}") from error
        self._status = os.fstat(self._file.fileno())
        self._seal, self._size = b"", 0
        self._first = _sealed(task, b"")
        self._content = self._file.read()
        # Nothing, or the beginning of the first line, is what a run leaves that the disk had no room for.
        self.is_new = self._first.startswith(self._content) and self._content != self._first

    @classmethod
    def start(cls, path: Path, task: Task) -> Journal:
        """Start a new journal; raises JournalError if there is one: no work is thrown away unasked."""
        journal = cls(path, task)
        with journal._closed_on_error():
            if not journal.is_new:
                raise JournalError(
                    f"{path}: was left by an interrupted run; continue it with --resume, or delete the file"
                )
            journal._begin()
        return journal

    @classmethod
    def resume(cls, path: Path, task: Task) -> Journal:
        """Open the journal that an interrupted run of the same task left, or start a new one.

        Raises JournalError if it belongs to another task, is damaged, or is no journal.
        """
        journal = cls(path, task)
        with journal._closed_on_error():
            if journal.is_new:
                journal._begin()
            else:
                journal._read(task)
        return journal

    def add(self, step: Step) -> None:
        """Write a step, unless it is no further than the one before; raises OSError if the disk is full."""
        if step.done > (self.steps[-1].done if self.steps else START):
            self._write(_sealed(step, self._seal))
            self.steps.append(step)

    def close(self) -> None:
        """Close the file; it stays for another run."""
        self._file.close()

    def delete(self) -> None:
        """Delete the file, unless another one has its name by now."""
        self.close()
        with suppress(FileNotFoundError):
            if os.path.samestat(self.path.lstat(), self._status):
                self.path.unlink()

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        self._cut()
        try:
            self._write(self._first)
        except OSError:
            self.delete()  # it was empty, or had a part of the line that is not there now
            raise

    def _read(self, task: Task) -> None:
        """Read all whole lines, and cut off what follows them."""
        whole = self._content[: self._content.rfind(b"\n") + 1]
        first, *lines = whole.split(b"\n")[:-1] or [b""]
        if not first.startswith(_SEAL):
            raise JournalError(f"{self.path}: is no journal of this version; move or delete it")
        _require_same(self._unsealed(Task, first, 1), task, self.path)
        for number, line in enumerate(lines, start=2):
            step = self._unsealed(Step, line, number)
            _require_times(step, f"{self.path}, line {number}")
            self.steps.append(step)
        self._size = len(whole)
        self._cut()

    def _unsealed(self, kind: type[Line], line: bytes, number: int) -> Line:
        """Read a line that follows those that were read; raises JournalError."""
        where = f"{self.path}, line {number}"
        end = len(_SEAL) + _SEAL_LETTERS
        seal, rest = line[len(_SEAL) : end], b"{" + line[end + len(b'", ') :]
        if line != _with_seal(seal, rest) or seal != _seal_of(rest, self._seal):
            raise JournalError(
                f"{where}: was changed, or a line before it is missing; delete the file to start again"
            )
        self._seal = seal
        try:
            read: Line = build(kind, parse_json(rest.decode(), where=where), where=where)
        except (BundleError, UnicodeDecodeError) as error:
            raise JournalError(f"{where}: cannot be read: {error}; delete the file to start again") from error
        return read

    def _cut(self) -> None:
        self._file.truncate(self._size)
        self._file.seek(self._size)

    def _write(self, line: bytes) -> None:
        """Write a whole line, or nothing; raises OSError."""
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
            os.fsync(self._file.fileno())
        except OSError:
            with suppress(OSError):
                self._cut()
            raise
        self._size += len(line)
        self._seal = line[len(_SEAL) : len(_SEAL) + _SEAL_LETTERS]


def _require_times(step: Step, where: str) -> None:
    """Raise JournalError for times that no recording has; only another program seals such a line."""
    words = [word for segment in step.segments for word in segment.words]
    spans: list[Segment | Word | Character] = [*step.segments, *words]
    spans += [character for word in words for character in word.characters]
    if any(abs(time_s) > _MAX_S for span in spans for time_s in (span.start_s, span.end_s)):
        raise JournalError(f"{where}: has a time beyond {_MAX_S} s; delete the file to start again")


def _sealed(content: Task | Step, before: bytes) -> bytes:
    """Return a line with its seal; before: the seal of the line before, none for the first."""
    rest = json.dumps(to_plain(content), ensure_ascii=False).encode()
    return _with_seal(_seal_of(rest, before), rest) + b"\n"


def _with_seal(seal: bytes, rest: bytes) -> bytes:
    return _SEAL + seal + b'", ' + rest[1:]


def _seal_of(rest: bytes, before: bytes) -> bytes:
    return hashlib.sha256(before + rest).hexdigest().encode()


def _require_same(written: Task, task: Task, path: Path) -> None:
    was, now = to_plain(written), to_plain(task)
    changed = [f"{key} was {was[key]!s:.500} and is {now[key]}" for key in was if was[key] != now[key]]
    if changed:
        raise JournalError(
            f"{path}: belongs to another run: {'; '.join(changed)}; repeat that run, or delete the file"
        )
