"""The hash of a file."""

import hashlib
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal; reads a megabyte at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):  # ``hashlib.file_digest`` is not in Python 3.10
            digest.update(block)
    return digest.hexdigest()
