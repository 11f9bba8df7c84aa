"""Text files as editors write them."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from sewd_runtime.errors import TextError

# UTF-32's mark begins with UTF-16's, so it comes first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (b"", "utf-8"),
)
"""Byte-order mark → encoding."""


def read_text_file(path: str | os.PathLike[str]) -> str:
    """Return the text of a file: UTF-8, or UTF-16 or UTF-32 with a byte-order mark; marks are left out.

    Raises TextError for any other encoding, which cannot be guessed safely, and OSError.
    """
    return decode_text(Path(path).read_bytes(), path)


def decode_text(content: bytes, path: str | os.PathLike[str]) -> str:
    """Return the text of a file's content, as ``read_text_file`` does; path: for the message of TextError."""
    mark, encoding = next((mark, name) for mark, name in _MARKS if content.startswith(mark))
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise TextError(
            f"{path}: not {encoding[:6].upper().rstrip('-')} at byte {len(mark) + error.start}; "
            "save it as UTF-8 (Latin-1 and other code pages cannot be told apart)"
        ) from error
    if "\0" in text:
        place = len(mark) + len(text[: text.index("\0")].encode(encoding))
        raise TextError(
            f"{path}: a zero byte at byte {place}, so it is no text, or UTF-16 without a byte-order mark; "
            "save it as UTF-8"
        )
    return text.replace("\ufeff", "")  # files that were joined have a mark inside


def is_file_name(name: str) -> bool:
    """Return whether a path from a list can be that of a file."""
    try:
        return name not in ("", "-") and b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:  # half of a surrogate pair, from JSON
        return False
