"""Files in the user's cache: whatever else is found in their place is an OSError, and never waited for."""

import os
import stat
from pathlib import Path


def read_cached(path: Path, *, max_bytes: int) -> bytes:
    """Return the content of a regular file; raises OSError for anything else, and for a larger one."""
    path.lstat()  # raises FileNotFoundError
    if not path.is_file():  # opening a pipe would wait for its other end
        raise OSError(f"{path}: not a file")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise OSError(f"{path}: has {size} bytes, at most {max_bytes} are read")
        return file.read(max_bytes)


def check_own(path: Path) -> None:
    """Raise OSError unless a file is this user's, no link, and not writable by everyone.

    For machine code: what others can write to is not run.
    """
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path}: not a file, or a link")
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & stat.S_IWOTH):
        raise OSError(f"{path}: belongs to another user, or everyone may write to it")
