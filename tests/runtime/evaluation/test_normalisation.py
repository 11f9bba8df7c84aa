"""Laws: each normalisation ignores what its rule says and no more, and a text normalised twice stays."""

from __future__ import annotations

import pytest

from sewd_runtime import Vocabulary
from sewd_runtime.bundle.manifest import CtcEntry
from sewd_runtime.evaluation.normalisation import NORMALISATIONS

SAID = "Don\u2019t stop \u2014 \u201cwell-known\u201d  cafe\u0301s, rock 'n' roll!"


def vocabulary(letters: str, delimiter: str | None = "|") -> Vocabulary:
    tokens = ["<pad>", *filter(None, [delimiter]), *letters]
    ctc = CtcEntry(
        blank_id=0, unknown_token=None, word_delimiter=delimiter, do_lower_case=False, clean_up_spaces=False
    )
    return Vocabulary.from_manifest({token: i for i, token in enumerate(tokens)}, ctc, len(tokens))


LATIN = vocabulary("ABCDEFGHIJKLMNOPQRSTUVWXYZ'")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("none", " ".join(SAID.split())),
        ("case", "don\u2019t stop \u2014 \u201cwell-known\u201d cafe\u0301s, rock 'n' roll!"),
        ("punctuation", "don't stop well known cafe\u0301s rock n roll"),
        ("model", "don't stop well known cafes rock 'n' roll"),
    ],
)
def test_what_is_left_of_a_text(name: str, text: str) -> None:
    normalise = NORMALISATIONS[name].bind(LATIN)
    assert normalise(SAID) == text
    assert normalise(text) == text


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_each_character_is_a_word_without_a_delimiter(name: str) -> None:
    normalise = NORMALISATIONS[name].bind(vocabulary("\u4f60\u597d", delimiter=None))
    assert normalise("\u4f60\u597d \u4f60") == "\u4f60 \u597d \u4f60"


def test_a_word_that_the_model_cannot_write_differs_from_all_that_it_can() -> None:
    normalise = NORMALISATIONS["model"].bind(LATIN)
    assert normalise("chapter 7") == "chapter <unk>"
