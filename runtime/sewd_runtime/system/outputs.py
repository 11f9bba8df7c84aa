"""Files that are written into a folder under names the user did not choose one by one."""

import errno
import hashlib
from pathlib import Path

from sewd_runtime.system.cached_files import read_cached
from sewd_runtime.system.hashing import sha256_of
from sewd_runtime.system.writing import append_line, whole_file

_RECORD = ".sewd-outputs"
_MAX_RECORD_BYTES = 256 << 20  # of 65 bytes for each file


class OutputFolder:
    """A folder in which only files that were written here, and that nobody has changed since, are replaced.

    It keeps the SHA-256 of each file it writes, one per line, in ``.sewd-outputs`` in the folder, and after
    it what the file was made from, if that was given.
    """

    def __init__(self, folder: Path) -> None:
        self._record = folder / _RECORD
        try:
            lines = set(read_cached(self._record, max_bytes=_MAX_RECORD_BYTES).splitlines())
        except OSError:  # none yet; where it cannot be read, nothing is replaced
            lines = set()
        self._lines = lines
        self._written = {line.partition(b" ")[0] for line in lines}

    def check(self, path: Path) -> None:
        """Raise FileExistsError if a file must not be replaced."""
        if not path.is_file():
            return  # ``whole_file`` refuses everything else
        if sha256_of(path).encode() not in self._written:
            fault = "was not written by sewd, or has been changed since; move it, or choose another --output"
            raise FileExistsError(errno.EEXIST, fault, str(path))

    def is_made(self, path: Path, source: str) -> bool:
        """Return whether a file was made from ``source`` and is there, unchanged."""
        return path.is_file() and f"{sha256_of(path)} {source}".encode() in self._lines

    def write(self, path: Path, content: str | bytes, *, source: str = "") -> None:
        """Write a file, text in UTF-8, whole or not at all; raises OSError, also where ``check`` does.

        source: the SHA-256 of all that the content depends on, if ``is_made`` shall know the file.
        """
        content = content.encode() if isinstance(content, str) else content
        self.check(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._remember(hashlib.sha256(content).hexdigest().encode(), source.encode())
        with whole_file(path) as file:
            file.buffer.write(content)

    def _remember(self, digest: bytes, source: bytes) -> None:
        """Record a file before it is there: a killed run must not leave one that the next cannot replace."""
        line = digest + b" " + source if source else digest
        if line not in self._lines and (source or digest not in self._written):
            append_line(self._record, line)
            self._lines.add(line)
            self._written.add(digest)
