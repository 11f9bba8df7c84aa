"""Texts with characters that a model cannot write: wildcards stand for these."""

import re
from collections.abc import Iterator
from dataclasses import replace

from sewd_runtime.text.spelling import Speller, warn_left_out
from sewd_runtime.text.vocabulary import Vocabulary

ANYTHING = "*"
"""A word of this alone is a wildcard too, for speech that the text leaves open."""

_WRITABLE, _LEFT_OUT, _UNWRITABLE = "wlu"
_WILDCARD = re.compile("l*u[lu]*")


def spell_with_wildcards(text: str, vocabulary: Vocabulary) -> tuple[tuple[int, ...], Vocabulary]:
    """Return the token ids of a text, and the vocabulary with the wildcards among them.

    Characters in a row that ``Speller`` cannot spell are one wildcard, with the punctuation that touches
    them: 1,996. Each text of a wildcard has an id of its own, from ``first_wildcard`` on, and is that id's
    piece. Warns of what is left out, as ``Speller.encode`` does.
    """
    speller, first = Speller(vocabulary), first_wildcard(vocabulary)
    wildcards: dict[str, int] = {}
    left_out: dict[str, None] = {}
    words: list[list[int]] = []
    for word in text.split():
        words.append([])
        for part, is_wildcard in _parts(word, speller):
            if is_wildcard:
                words[-1].append(wildcards.setdefault(part, first + len(wildcards)))
                continue
            spelling = speller.spell(part)
            left_out |= dict.fromkeys(spelling.left_out)
            for number, tokens in enumerate(spelling.words):
                if number:
                    words.append([])
                words[-1] += tokens or ()
    warn_left_out(tuple(left_out), text)
    gap = () if vocabulary.word_delimiter_id is None else (vocabulary.word_delimiter_id,)
    token_ids = [token_id for word in words if word for token_id in (*gap, *word)]
    pieces = {**vocabulary.pieces, **{token_id: part for part, token_id in wildcards.items()}}
    return tuple(token_ids[len(gap) :]), replace(vocabulary, pieces=pieces)


def first_wildcard(vocabulary: Vocabulary) -> int:
    """Return the first id that is neither an output nor a token, for a vocabulary without wildcards."""
    return 1 + max(len(vocabulary.canonical_ids), *vocabulary.canonical_ids, *vocabulary.pieces)


def _parts(word: str, speller: Speller) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a word, and whether each is a wildcard."""
    kinds = "".join(_kind(one, speller) for one in word)
    if word == ANYTHING and kinds == _LEFT_OUT:
        kinds = _UNWRITABLE
    if _UNWRITABLE not in kinds or _kind(word, speller) == _WRITABLE:
        yield word, _kind(word, speller) == _UNWRITABLE
        return
    begin = 0
    for run in _WILDCARD.finditer(kinds):
        if begin < run.start():
            part = word[begin : run.start()]
            yield part, _kind(part, speller) == _UNWRITABLE
        yield word[run.start() : run.end()], True
        begin = run.end()
    if begin < len(word):
        yield word[begin:], _kind(word[begin:], speller) == _UNWRITABLE


def _kind(text: str, speller: Speller) -> str:
    words = speller.spell(text).words
    return _UNWRITABLE if None in words else _WRITABLE if words else _LEFT_OUT
