"""Scripts that are written without spaces between words."""

import unicodedata
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
