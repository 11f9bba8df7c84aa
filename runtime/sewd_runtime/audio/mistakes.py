"""What a file that is not audio is instead, and what to do with it."""

import re

_MISTAKES = (
    (rb"version https://git-lfs", "a Git LFS pointer, not the recording; fetch it: git lfs pull"),
    (rb"\s*<(?:!doctype|html|\?xml)", "a web page or XML, perhaps in place of a download; download it again"),
    (rb"PK\x03\x04|\x1f\x8b|Rar!|7z\xbc\xaf|BZh|\xfd7zXZ", "an archive; unpack it first"),
    (
        rb"\x1f\x43\xb6\x75|\xa3.{1,7}\x81",
        "a piece of a WebM recording without its beginning; join the pieces, from the first one on",
    ),
)
"""How such files begin, as regular expressions, and what they are."""


def explain(head: bytes) -> str | None:
    """Return what a file is that begins so, and what to do; None if nothing is known about it."""
    return next((what for begin, what in _MISTAKES if re.match(begin, head, re.DOTALL | re.IGNORECASE)), None)
