"""What of a text is compared: the rows of ``NORMALISATIONS``."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sewd_runtime.decode.lm.normalisation import normaliser
from sewd_runtime.text.spelling import fold, with_plain_signs
from sewd_runtime.text.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """rule: what is ignored, in words. words_of: returns a function that splits a text into words."""

    rule: str
    words_of: Callable[[Vocabulary], Callable[[str], list[str]]]

    def bind(self, vocabulary: Vocabulary) -> Callable[[str], str]:
        """Return a function that makes the text to compare, words separated by spaces.

        Without a word delimiter in the vocabulary, each character is a word.
        """
        words_of, is_spaced = self.words_of(vocabulary), vocabulary.word_delimiter_id is not None

        def normalise(text: str) -> str:
            words = words_of(text)
            return " ".join(words if is_spaced else [part for word in words for part in _characters(word)])

        return normalise


def _characters(word: str) -> list[str]:
    return [word] if word.startswith("<") else list(word)


def _without_punctuation(text: str) -> list[str]:
    """Split a text at spaces and punctuation; an apostrophe between letters belongs to its word."""
    plain = with_plain_signs(text)
    kept = [
        one if unicodedata.category(one)[0] not in "PS" or (one == "'" and _is_inside(plain, place)) else " "
        for place, one in enumerate(plain)
    ]
    return fold("".join(kept)).split()


def _is_inside(text: str, place: int) -> bool:
    return text[max(0, place - 1) : place].isalnum() and text[place + 1 : place + 2].isalnum()


NORMALISATIONS: Mapping[str, Normalisation] = MappingProxyType(
    {
        "model": Normalisation(
            rule="as the model writes: case, and the punctuation and accents that it lacks, are ignored",
            words_of=lambda vocabulary: lambda text: list(map(fold, normaliser(vocabulary)(text))),
        ),
        "punctuation": Normalisation(
            rule="case and punctuation are ignored", words_of=lambda _: _without_punctuation
        ),
        "case": Normalisation(rule="case is ignored", words_of=lambda _: lambda text: fold(text).split()),
        "none": Normalisation(rule="as written", words_of=lambda _: str.split),
    }
)
"""Name → what is compared, the most lenient first."""
