"""Wildcards for what a model cannot write."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sewd_runtime.bundle.manifest import CtcEntry
from sewd_runtime.errors import TextError, TextWarning
from sewd_runtime.text.spelling import Speller
from sewd_runtime.text.vocabulary import Vocabulary
from sewd_runtime.text.wildcards import first_wildcard, spell_with_wildcards

TOKENS = {"<pad>": 0, "|": 1, "A": 2, "B": 3, "'": 4}


def vocabulary(*, word_delimiter: str | None = "|") -> Vocabulary:
    ctc = CtcEntry(
        blank_id=0,
        word_delimiter=word_delimiter,
        unknown_token=None,
        do_lower_case=False,
        clean_up_spaces=False,
    )
    tokens = TOKENS if word_delimiter else {token: i for token, i in TOKENS.items() if token != "|"}
    if not word_delimiter:
        tokens = {token: number for number, token in enumerate(tokens)}
    return Vocabulary.from_manifest(tokens, ctc, len(tokens))


def written(text: str, words: Vocabulary) -> str:
    token_ids, extended = spell_with_wildcards(text, words)
    return extended.text(token_ids)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a 7 b", "A 7 B"),
        ("b2b", "B2B"),
        ("1,996 aa", "1,996 AA"),
        ("a $20. b", "A $20. B"),
        ("90's", "90'S"),
        ("a * b", "A * B"),
        ("7 7 8", "7 7 8"),
        ("", ""),
    ],
)
def test_what_cannot_be_written_stays_as_it_is(text: str, expected: str) -> None:
    assert written(text.replace("S", ""), vocabulary()) == expected.replace("S", "s")


def test_each_text_of_a_wildcard_has_one_id_past_all_tokens() -> None:
    words = vocabulary()
    token_ids, extended = spell_with_wildcards("7 a 8 7", words)
    first = first_wildcard(words)
    assert first > max(TOKENS.values())
    assert token_ids == (first, 1, 2, 1, first + 1, 1, first)
    assert (extended.pieces[first], extended.pieces[first + 1]) == ("7", "8")
    assert extended.canonical_ids == words.canonical_ids


def test_punctuation_alone_is_left_out_with_a_warning() -> None:
    with pytest.warns(TextWarning, match="left out"):
        assert written("a, - b!", vocabulary()) == "A B"


def test_words_without_a_delimiter_have_wildcards_too() -> None:
    words = vocabulary(word_delimiter=None)
    token_ids, extended = spell_with_wildcards("ab7a", words)
    assert extended.text(token_ids) == "AB7A"


@given(st.text("ab'7é-. *x", max_size=12))
@settings(max_examples=300, deadline=None)
def test_every_text_is_spelled_and_one_without_wildcards_as_without_lenience(text: str) -> None:
    words = vocabulary()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TextWarning)
        token_ids, extended = spell_with_wildcards(text, words)
        assert extended.text(token_ids) is not None
        try:
            exactly = Speller(words).encode(text)
        except TextError:
            assert max(token_ids) >= first_wildcard(words)
            return
    if "*" not in text.split():
        assert token_ids == exactly
