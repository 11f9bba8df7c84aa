"""Training text and references as a recognizer writes: its letters, its case, no punctuation."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator

from sewd_runtime.decode.lm.kneser_ney import BEGIN, END, UNKNOWN
from sewd_runtime.decode.lm.model import DELIMITER_SYMBOL
from sewd_runtime.text.spelling import Speller
from sewd_runtime.text.vocabulary import Vocabulary


def sentences(
    lines: Iterable[str], vocabulary: Vocabulary, *, characters: bool = False
) -> Iterator[list[str]]:
    """Yield the words of each line that has any, as ``normaliser`` gives them."""
    yield from filter(None, map(normaliser(vocabulary, characters=characters), lines))


def normaliser(vocabulary: Vocabulary, *, characters: bool = False) -> Callable[[str], list[str]]:
    """Return a function that splits a text into words; characters: into tokens, with ``|`` for spaces.

    Words are spelled as ``Speller`` says; one that the model cannot write, such as a number in digits,
    becomes ``<unk>``, and one of punctuation alone is left out, as are ``<s>`` and ``</s>``, which a language
    model adds itself. Without a word delimiter, each token is a word.
    """
    speller = Speller(vocabulary)
    is_spaced = vocabulary.word_delimiter_id is not None

    def normalise(text: str) -> list[str]:
        units: list[str] = []
        for word in speller.spell(text).words:
            spelled = [UNKNOWN] if word is None else [vocabulary.text((token_id,)) for token_id in word]
            tokens = [token for token in spelled if token not in (BEGIN, END)]
            written = UNKNOWN if word is None else vocabulary.text(word) if tokens else ""
            if all(unicodedata.category(character)[0] in "PS" for character in written):
                continue
            if characters and is_spaced and units:
                units.append(DELIMITER_SYMBOL)
            units += tokens if characters or not is_spaced else [written]
        return units

    return normalise
