"""A cache of built engines in the user's cache folder, named by their key and their sha256."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from pathlib import Path

from sewd_runtime.system.cached_files import check_own, read_cached
from sewd_runtime.system.machine import cache_folder

MAX_BYTES = 8 << 30

_log = logging.getLogger("sewd")


def read_engine(key: str) -> bytes | None:
    """Return the engine with this key, None if there is none or it is damaged.

    A file that is not the user's, no file or too large is ignored, with a warning in the log.
    """
    try:
        paths = list(_folder().glob(f"{key}.*.engine"))
    except (OSError, RuntimeError):
        return None
    for path in paths:
        try:
            check_own(path)
            engine = read_cached(path, max_bytes=MAX_BYTES)
        except OSError as error:
            _log.warning("tensorrt: ignored in the cache of engines: %s", error)
            continue
        if path.name == _name(key, engine):
            return engine
    return None


def write_engine(key: str, engine: bytes) -> bool:
    """Write an engine and rename it into place; return whether that worked."""
    try:
        _folder().mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=_folder(), prefix=key[:16])
    except (OSError, RuntimeError):
        return False
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(engine)
        Path(name).replace(_folder() / _name(key, engine))
    except OSError:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        return False
    return True


def _folder() -> Path:
    return cache_folder() / "engines"


def _name(key: str, engine: bytes) -> str:
    return f"{key}.{hashlib.sha256(engine).hexdigest()}.engine"
