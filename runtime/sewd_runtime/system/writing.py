"""Writing files that are never seen half-written."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Open a UTF-8 file to write, which takes its name when it is complete; raises OSError.

    Several processes and threads may write the same file: the last to finish wins.
    """
    part = path.with_name(f"{path.name}.{threading.get_native_id()}.part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
