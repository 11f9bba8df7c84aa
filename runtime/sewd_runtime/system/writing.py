"""Writing files: none is seen half-written, and none of the user's is replaced or followed by accident."""

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Open a UTF-8 file to write, which takes its name when it is complete.

    Until then it has a name beside it that nobody can know before. Several processes and threads may write
    the same file: the last to finish wins. Raises OSError, also if ``path`` is a link, a device or a folder,
    which is neither followed nor replaced.
    """
    mode = _mode_of(path)
    part = path.with_name(f".sewd-{secrets.token_hex(8)}.part")
    # Exclusive: neither follows a link nor opens what is there.
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        error.filename = str(path)  # the other name says nothing to anybody
        raise
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            part.chmod(mode)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def find_replaced(outputs: Iterable[Path], inputs: Iterable[str | Path]) -> Path | None:
    """Return the first output that is also an input or a file in an input folder; None if there is none."""
    sources = {_file_of(Path(source)) for source in inputs} - {None}
    for output in outputs:
        places = (_file_of(output), _file_of(output.parent))
        if places[0] is not None and not sources.isdisjoint(places):
            return output
    return None


def open_locked(path: Path) -> int:
    """Open or create a file for reading and writing; return its descriptor, locked until it is closed.

    Raises BlockingIOError if another process has locked it, and OSError if it is a link or no regular file.
    """
    descriptor = _open_regular(path, 0)
    try:
        _lock(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def append_line(path: Path, line: bytes) -> None:
    """Append a line to a file, or create it; raises OSError, also if it is a link or no regular file."""
    descriptor = _open_regular(path, os.O_APPEND)
    try:
        os.write(descriptor, line + b"\n")
    finally:
        os.close(descriptor)


def _open_regular(path: Path, flags: int) -> int:
    """Open or create a file for reading and writing: never a pipe, which would wait, nor through a link."""
    flags |= os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def _mode_of(path: Path) -> int | None:
    """Return the permissions of the file that is to be replaced, None if there is none."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise FileExistsError(errno.EEXIST, "is a link or not a regular file, and is not replaced", str(path))
    return stat.S_IMODE(mode)


def _file_of(path: Path) -> tuple[int, int] | None:
    """Return what a path leads to, None if there is nothing."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _lock(descriptor: int) -> None:
    """Lock a file; raises BlockingIOError. Some file systems have no locks."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 1 << 40, os.SEEK_SET)  # past the end: a lock there hides nothing from readers
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(errno.EAGAIN, "locked") from error
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            return
