"""Law: words are counted as the model writes them."""

from __future__ import annotations

import pytest

from sewd_export.parity.transcripts import word_errors
from sewd_runtime.bundle.manifest import CtcEntry
from sewd_runtime.decode.lm.normalisation import normaliser
from sewd_runtime.text.vocabulary import Vocabulary


@pytest.mark.parametrize(
    ("truth", "text", "errors"),
    [
        ("ONE TWO THREE", "one  two three", 0),
        ("ONE TWO THREE", "ONE THREE", 1),
        ("ONE TWO THREE", "ONE FOUR FIVE THREE", 2),
        ("ONE", "", 1),
        ("", "ONE TWO", 2),
        ("", "", 0),
    ],
)
def test_words_left_out_put_in_and_substituted(truth: str, text: str, errors: int) -> None:
    words_of = normaliser(spelled_with("abcdefghijklmnopqrstuvwxyz'é"))
    assert word_errors(words_of(truth), words_of(text)) == errors


@pytest.mark.parametrize(
    ("letters", "truth", "text"),
    [
        (
            "abcdefghijklmnopqrstuvwxyz'",
            "Don\u2019t \u2014 said he \u2013 \u201cstop\u201d!",
            "don't said he stop",
        ),
        ("abcdefghijklmnopqrstuvwxyzé", "cafe\u0301, caf\u00e9", "caf\u00e9 caf\u00e9"),
        ("abcdefghijklmnopqrstuvwxyz\u0301", "caf\u00e9", "cafe\u0301"),
        ("abcdefghijklmnopqrstuvwxyzABC", "Abc", "aBC"),
    ],
)
def test_what_a_model_cannot_write_is_no_error(letters: str, truth: str, text: str) -> None:
    words_of = normaliser(spelled_with(letters))
    assert word_errors(words_of(truth), words_of(text)) == 0
    assert len(words_of(truth)) == len(text.split())
    assert word_errors(words_of(truth), words_of("x " + text)) == 1


def test_a_word_that_no_token_spells_is_an_error() -> None:
    words_of = normaliser(spelled_with("abcdefghijklmnopqrstuvwxyz"))
    assert word_errors(words_of("chapter 7"), words_of("chapter seven")) == 1


def test_characters_are_words_without_a_delimiter() -> None:
    words_of = normaliser(spelled_with("你好世界", delimiter=None))
    assert words_of("你好、世界。") == ["你", "好", "世", "界"]
    assert word_errors(words_of("你好、世界。"), words_of("你世世界")) == 1


def spelled_with(letters: str, delimiter: str | None = "|") -> Vocabulary:
    tokens = ["<pad>", *filter(None, [delimiter]), *letters]
    ctc = CtcEntry(
        blank_id=0, unknown_token=None, word_delimiter=delimiter, do_lower_case=False, clean_up_spaces=False
    )
    return Vocabulary.from_manifest({token: i for i, token in enumerate(tokens)}, ctc, len(tokens))
