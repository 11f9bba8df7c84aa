"""Recordings at addresses such as ``s3://bucket/name``, read through fsspec."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sewd_runtime.errors import MissingPackageError


def scheme_of(path: str) -> str | None:
    """Return the scheme of an address, None for the name of a file."""
    scheme, separator, _ = path.partition("://")
    return scheme if separator and scheme.isalnum() else None


def check_scheme(scheme: str) -> None:
    """Raise MissingPackageError if recordings at addresses with a scheme cannot be read here."""
    try:
        from fsspec import get_filesystem_class

        get_filesystem_class(scheme)
    except (ImportError, ValueError) as error:
        remedy = "pip install 'sewd[corpus]' and the package of the protocol, such as s3fs or gcsfs"
        raise MissingPackageError(f"{scheme}:// cannot be read: {error}; {remedy}") from error


@contextmanager
def open_source(folder: Path, path: str) -> Iterator[Any]:
    """Open a recording: return its path for a file, relative to a folder, and a binary file for an address.

    Raises OSError for a recording that is not there. What else a protocol raises ends the run: without its
    network or its keys, every recording would fail.
    """
    if scheme_of(path) is None:
        yield str(folder / path)
        return
    import fsspec

    with fsspec.open(path, "rb") as file:
        yield file
