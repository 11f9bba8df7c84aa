"""Text as a model writes it: one rule for alignment, hotwords, lexicons, references and language models."""

import unicodedata
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf

from sewd_runtime.errors import TextError, TextWarning
from sewd_runtime.text.vocabulary import Vocabulary

_REMEMBERED_WORDS = 20_000

_TYPOGRAPHIC = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201b\u02bb\u02bc\u02bd\ua78c\u05f3\u00b4`\u2032", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u05f4\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
)

_DECORATION = frozenset(map(chr, (0x640, *range(0xFE00, 0xFE10))))
"""The tatweel, which stretches an Arabic word, and the selectors of a sign's looks."""

_TURKISH_UPPER = {ord("i"): "\u0130"}
_TURKISH_LOWER = {ord("I"): "\u0131", ord("\u0130"): "i"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """A text in a model's tokens.

    words: the token ids of each word, without delimiters; None for a word that the model cannot write.
    left_out: the accents and punctuation that the model cannot write, each once, in order.
    """

    words: tuple[tuple[int, ...] | None, ...]
    left_out: tuple[str, ...]


class Speller:
    """Spells texts with the tokens of a vocabulary.

    A word is taken as given, then in Unicode's composed (NFC) and decomposed form (NFD), then in upper and in
    lower case, whole, because the case of a letter depends on its word (the Greek final sigma), then in any
    mixture of cases; then the same with plain apostrophes, quotes and hyphens, and in compatibility form, at
    last of the tokens too. Where the model writes the dotless or the capital dotted i, cases are those of
    Turkish. The first form that tokens make up entirely is spelled, with the longest tokens that leave a
    rest which can be spelled. A word without one is spelled without the accents and punctuation that the
    model lacks; apostrophes leave no gap in the word, other punctuation separates words.

    Law: every text that the model writes is spelled, and nothing of it is left out.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        exact: dict[str, int] = {}
        for token_id in vocabulary.canonical_ids:
            if text := vocabulary.piece(token_id):
                exact.setdefault(text, token_id)
        exact.pop(" ", None)
        self._exact = _Tokens(exact)
        self._caseless = _Tokens({text.casefold(): token_id for text, token_id in reversed(exact.items())})
        self._folded = _Tokens({_loosen(text): token_id for text, token_id in reversed(exact.items())})
        is_cased = not vocabulary.do_lower_case
        self._before_upper = _TURKISH_UPPER if is_cased and "\u0130" in exact else {}
        self._before_lower = _TURKISH_LOWER if is_cased and "\u0131" in exact else {}
        self._delimiter = vocabulary.word_delimiter_id
        self._spell_word = lru_cache(_REMEMBERED_WORDS)(self._find)

    @property
    def letters(self) -> str:
        """The first 60 tokens of one character, for a message."""
        return "".join(sorted(text for text in self._exact.ids if len(text) == 1))[:60]

    def spell(self, text: str) -> Spelling:
        """Return the words of a text."""
        spellings = [self._spell_word(word) for word in text.split()]
        left_out = dict.fromkeys(one for spelling in spellings for one in spelling.left_out)
        words = tuple(word for spelling in spellings for word in spelling.words)
        return Spelling(words=words, left_out=tuple(left_out))

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the token ids of a text, with delimiters; warns of what is left out.

        Raises TextError if the model cannot write a word.
        """
        spelling = self.spell(text)
        if None in spelling.words:
            self._refuse(" ".join(text.split()))
        warn_left_out(spelling.left_out, text)
        gap = () if self._delimiter is None else (self._delimiter,)
        token_ids = [token_id for word in spelling.words for token_id in (*gap, *(word or ()))]
        return tuple(token_ids[len(gap) :])

    def _find(self, word: str) -> Spelling:
        for form, tokens in self._forms(word):
            if found := tokens.split(form):
                return Spelling(words=(tuple(map(tokens.ids.__getitem__, found)),), left_out=())
        bare = unicodedata.normalize("NFKD", with_plain_signs(word))
        forms = [(case(bare), self._exact) for case in (str, str.upper, str.lower)]
        forms.append((_loosen(bare), self._folded))
        splits = [(tokens.split(form, loosely=True), tokens) for form, tokens in forms]
        spellings = [_without_missing(parts, tokens) for parts, tokens in splits if parts is not None]
        unwritable = Spelling(words=(None,), left_out=())
        return min(spellings, key=lambda spelling: len(spelling.left_out), default=unwritable)

    def _forms(self, word: str) -> Iterator[tuple[str, "_Tokens"]]:
        """Yield the forms of a word, and the tokens to make them up from."""
        plain = with_plain_signs(word)
        for base in dict.fromkeys((word, plain, unicodedata.normalize("NFKC", plain))):
            upper, lower = base.translate(self._before_upper), base.translate(self._before_lower)
            for cased in (base, upper.upper(), lower.lower()):
                yield cased, self._exact
                yield unicodedata.normalize("NFC", cased), self._exact
                yield unicodedata.normalize("NFD", cased), self._exact
            yield base.casefold(), self._caseless
            yield _loosen(base), self._folded

    def _refuse(self, text: str) -> None:
        """Raise TextError for the first character that no form of its word can be spelled with."""
        begin = 0
        for word in text.split():
            if None in self._spell_word(word).words:
                index = next((i for i, one in enumerate(word) if None in self._spell_word(one).words), 0)
                raise TextError(
                    f"the model cannot write {word[index]!r}, character {begin + index + 1} of the text, in "
                    f"{_excerpt(text, begin + index)!r}; use only these characters: {self.letters}"
                )
            begin += len(word) + 1


class _Tokens:
    """Tokens in some form: text → id."""

    def __init__(self, ids: Mapping[str, int]) -> None:
        self.ids = ids
        self._lengths = sorted({len(text) for text in ids}, reverse=True)

    def split(self, text: str, *, loosely: bool = False) -> list[str] | None:
        """Return tokens that make up the text, the longest first; None if there are none.

        loosely: as few accents and punctuation marks as possible may stand between them, each alone.
        """
        missing = [0.0] * (len(text) + 1)  # in the rest of the text from each place on
        ends = [0] * len(text)
        for begin in reversed(range(len(text))):
            alone = loosely and _can_be_missing(text[begin])
            missing[begin], ends[begin] = (1 + missing[begin + 1], begin + 1) if alone else (inf, 0)
            for length in reversed(self._lengths):
                end = begin + length
                if end <= len(text) and missing[end] <= missing[begin] and text[begin:end] in self.ids:
                    missing[begin], ends[begin] = missing[end], end
        if missing[0] == inf:
            return None
        parts, begin = [], 0
        while begin < len(text):
            parts.append(text[begin : ends[begin]])
            begin = ends[begin]
        return parts


def warn_left_out(left_out: tuple[str, ...], text: str) -> None:
    """Warn of what the spelling of a text leaves out, if anything."""
    if left_out:
        signs = " ".join(
            f"U+{ord(one):04X} ({unicodedata.name(one, 'no name').lower()})"
            if unicodedata.category(one)[0] in "MC"
            else one
            for one in left_out
        )
        message = f"the model cannot write these, so they are left out of {_excerpt(text, 0, 40)!r}: {signs}"
        warnings.warn(message, TextWarning, stacklevel=3)


def _without_missing(parts: list[str], tokens: _Tokens) -> Spelling:
    """Return the words of a text split loosely."""
    words: list[list[int]] = [[]]
    left_out = []
    for part in parts:
        if part in tokens.ids:
            words[-1].append(tokens.ids[part])
            continue
        left_out.append(part)
        if part != "'" and unicodedata.category(part)[0] in "PSZ":
            words.append([])
    return Spelling(words=tuple(tuple(word) for word in words if word), left_out=tuple(left_out))


def _can_be_missing(character: str) -> bool:
    """Return whether it is an accent, punctuation, a sign, decoration, or invisible."""
    is_mark = unicodedata.combining(character) > 0 or character in _DECORATION
    return is_mark or unicodedata.category(character)[0] in "PSZC"


def with_plain_signs(text: str) -> str:
    """Return the text with plain apostrophes, quotes and hyphens for typographic ones."""
    return text.translate(_TYPOGRAPHIC)


def fold(text: str) -> str:
    """Return the text for caseless matching (the Unicode Standard, definition D145)."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


def _loosen(text: str) -> str:
    """Return the text for matching in any case, with any apostrophe, in compatibility form (Unicode D146)."""
    return unicodedata.normalize("NFKD", fold(unicodedata.normalize("NFKD", with_plain_signs(text))))


def _excerpt(text: str, index: int, width: int = 20) -> str:
    """Return the text around an index."""
    first, last = max(0, index - width), index + width
    return ("..." if first else "") + text[first:last] + ("..." if last < len(text) else "")
