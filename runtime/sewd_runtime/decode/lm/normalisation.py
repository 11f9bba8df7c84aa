"""Training text in the form that a recognizer writes: its letters, its case, no punctuation."""

import unicodedata
from collections.abc import Iterable, Iterator

from sewd_runtime.decode.lm.kneser_ney import UNKNOWN
from sewd_runtime.decode.lm.model import DELIMITER_SYMBOL
from sewd_runtime.errors import TextError
from sewd_runtime.text.vocabulary import Vocabulary

_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\u00b4`", "'"))


def sentences(
    lines: Iterable[str], vocabulary: Vocabulary, *, characters: bool = False
) -> Iterator[list[str]]:
    """Yield the words of each line that is not empty; characters: yield characters, with ``|`` for spaces.

    Letters that are not in the vocabulary lose their accents, punctuation separates words, and a word with
    any other character, such as a digit, becomes ``<unk>``.
    """
    for line in lines:
        words = normalise(line, vocabulary)
        if words and characters:
            spelled = [[word] if word == UNKNOWN else list(word) for word in words]
            yield [*spelled[0], *(unit for word in spelled[1:] for unit in (DELIMITER_SYMBOL, *word))]
        elif words:
            yield words


def normalise(line: str, vocabulary: Vocabulary) -> list[str]:
    """Return the words of a line as the vocabulary writes them."""
    text = unicodedata.normalize("NFC", line.translate(_APOSTROPHES))
    written = {character: _written(character, vocabulary) for character in set(text)}
    words = "".join(written[character] for character in text).split()
    words = [UNKNOWN if "\0" in word else word for word in words]
    return [word for word in words if any(character.isalnum() or word == UNKNOWN for character in word)]


def _written(character: str, vocabulary: Vocabulary) -> str:
    """Return a character as written, a space if it separates words, or NUL if it cannot be written."""
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
