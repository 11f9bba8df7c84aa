"""Text as a recognizer would write it: its letters, its case, no punctuation."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from sewd_runtime.decode.lm.kneser_ney import UNKNOWN
from sewd_runtime.errors import TextError
from sewd_runtime.text.vocabulary import Vocabulary

_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\u00b4`", "'"))
_DELIMITER_SYMBOL = "|"


def sentences(
    lines: Iterable[str], vocabulary: Vocabulary, *, characters: bool = False
) -> Iterator[list[str]]:
    """Yield the words of every line that has some; characters: its characters, ``|`` for the spaces.

    A letter that the vocabulary lacks is written without its accents, punctuation separates words, and a word
    that still has another character (a digit, say) becomes ``<unk>``.
    """
    for line in lines:
        words = normalise(line, vocabulary)
        if words and characters:
            spelt = [[word] if word == UNKNOWN else list(word) for word in words]
            yield [*spelt[0], *(unit for word in spelt[1:] for unit in (_DELIMITER_SYMBOL, *word))]
        elif words:
            yield words


def normalise(line: str, vocabulary: Vocabulary) -> list[str]:
    """Return a line's words as the vocabulary writes them."""
    known: dict[str, str] = {}
    text = unicodedata.normalize("NFC", line.translate(_APOSTROPHES))
    for character in set(text):
        known[character] = _written(character, vocabulary)
    words = "".join(known[character] for character in text).split()
    found = (UNKNOWN if "\0" in word else word for word in words)
    return [word for word in found if any(character.isalnum() or word == UNKNOWN for character in word)]


def _written(character: str, vocabulary: Vocabulary) -> str:
    """Return how a character is written; a space if it separates words, a zero if it cannot be written."""
    bare = "".join(
        part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part)
    )
    form = next((form for form in (character, bare) if _is_known(form, vocabulary)), None)
    if form is None:
        return "\0" if character.isalnum() else " "
    return vocabulary.text(vocabulary.encode(form)) or " "


def _is_known(form: str, vocabulary: Vocabulary) -> bool:
    try:
        vocabulary.encode(form)
    except TextError:
        return False
    return True
