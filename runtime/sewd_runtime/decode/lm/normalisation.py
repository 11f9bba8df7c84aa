"""Training text in the form that a recognizer writes: its letters, its case, no punctuation."""

import unicodedata
from collections.abc import Iterable, Iterator

from sewd_runtime.decode.lm.kneser_ney import UNKNOWN
from sewd_runtime.decode.lm.model import DELIMITER_SYMBOL
from sewd_runtime.text.spelling import Speller
from sewd_runtime.text.vocabulary import Vocabulary


def sentences(
    lines: Iterable[str], vocabulary: Vocabulary, *, characters: bool = False
) -> Iterator[list[str]]:
    """Yield the words of each line that is not empty; characters: yield tokens, with ``|`` for spaces.

    Words are spelled as ``Speller`` says; one that the model cannot write, such as a number in digits,
    becomes ``<unk>``, and one of punctuation alone is left out. Without a word delimiter, each token is a
    word.
    """
    speller = Speller(vocabulary)
    is_spaced = vocabulary.word_delimiter_id is not None
    for line in lines:
        units: list[str] = []
        for word in speller.spell(line).words:
            tokens = [UNKNOWN] if word is None else [vocabulary.text((token_id,)) for token_id in word]
            written = UNKNOWN if word is None else vocabulary.text(word)
            if all(unicodedata.category(character)[0] in "PS" for character in written):
                continue
            if characters and is_spaced and units:
                units.append(DELIMITER_SYMBOL)
            units += tokens if characters or not is_spaced else [written]
        if units:
            yield units
