"""Scripts that are written without spaces between words."""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_UNSPACED = (
    *("CJK ", "IDEOGRAPHIC ", "HIRAGANA ", "KATAKANA", "HALFWIDTH KATAKANA ", "BOPOMOFO "),
    *("THAI ", "LAO ", "KHMER ", "MYANMAR ", "TIBETAN "),
)
"""How the Unicode names of their characters begin; Korean has spaces."""


@lru_cache(20_000)
def is_unspaced(text: str) -> bool:
    """Return whether any character of a text is of such a script."""
    return any(unicodedata.name(character, "").startswith(_UNSPACED) for character in text)


def gap_between(before: str, text: str) -> str:
    """Return what stands between two texts in a row: a space unless both are written without any."""
    is_joined = is_unspaced(before) and is_unspaced(text) and " " not in before + text
    return "" if is_joined or not before else " "


def join_texts(texts: Iterable[str]) -> str:
    """Return texts in a row, with what stands between them."""
    joined, before = "", ""
    for text in texts:
        joined += gap_between(before, text) + text
        before = text
    return joined


@lru_cache(20_000)
def columns(text: str) -> int:
    """Return the width of a text in letters; a wide character (East Asian) is two."""
    return len(text) + sum(unicodedata.east_asian_width(character) in "WF" for character in text)
