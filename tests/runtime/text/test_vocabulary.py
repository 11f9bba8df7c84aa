from __future__ import annotations

import dataclasses

import pytest

from sewd_runtime.bundle.manifest import CtcEntry
from sewd_runtime.errors import VocabularyError
from sewd_runtime.text.vocabulary import Vocabulary

TOKENS = {"<pad>": 0, "<unk>": 1, "|": 2, "A": 3, "B": 4, "'": 5, "S": 6}
CTC = CtcEntry(
    blank_id=0, unknown_token="<unk>", word_delimiter="|", do_lower_case=False, clean_up_spaces=False
)


def vocabulary(
    tokens: dict[str, int] = TOKENS, num_outputs: int | None = None, **changes: object
) -> Vocabulary:
    ctc = dataclasses.replace(CTC, **changes)
    return Vocabulary.from_manifest(tokens, ctc, len(tokens) if num_outputs is None else num_outputs)


@pytest.mark.parametrize(
    ("token_ids", "text"),
    [
        ((), ""),
        ((3, 4), "AB"),
        ((3, 3), "AA"),
        ((2, 3, 2, 4, 2), "A B"),
        ((3, 2, 2, 4), "A  B"),
        ((3, 0, 4), "AB"),
        ((1, 3), "<unk>A"),
        ((3, 1000, -1), "A<unk><unk>"),
    ],
)
def test_text(token_ids: tuple[int, ...], text: str) -> None:
    assert vocabulary().text(token_ids) == text


def test_text_is_lower_cased_then_cleaned() -> None:
    token_ids = (3, 2, 5, 6)
    assert vocabulary().text(token_ids) == "A 'S"
    assert vocabulary(clean_up_spaces=True).text(token_ids) == "A 'S"
    assert vocabulary(clean_up_spaces=True, do_lower_case=True).text(token_ids) == "a's"


def test_blanks_never_change_the_text() -> None:
    assert vocabulary().text((0, 3, 0, 0, 2, 0, 4, 0)) == vocabulary().text((3, 2, 4))


def test_the_word_delimiter_may_be_absent() -> None:
    assert vocabulary().word_delimiter_id == 2
    assert vocabulary(word_delimiter="/").word_delimiter_id is None
    without = vocabulary(word_delimiter=None)
    assert without.word_delimiter_id is None
    assert without.text((3, 2, 4)) == "A|B"


def test_outputs_without_a_token_count_as_the_unknown_token() -> None:
    wide = vocabulary(num_outputs=9)
    assert wide.canonical_ids == (0, 1, 2, 3, 4, 5, 6, 1, 1)
    assert wide.text((7,)) == "<unk>"


def test_outputs_without_a_token_count_as_one_when_the_unknown_token_has_no_id() -> None:
    wide = vocabulary(num_outputs=9, unknown_token="?")
    assert wide.canonical_ids == (0, 1, 2, 3, 4, 5, 6, 7, 7)
    assert wide.text((7, 8)) == "??"


def test_tokens_past_the_outputs_are_kept() -> None:
    narrow = vocabulary({**TOKENS, "<s>": 40}, num_outputs=7)
    assert narrow.canonical_ids == tuple(range(7))
    assert narrow.text((40,)) == "<s>"


@pytest.mark.parametrize("blank_id", [-1, 7, 8])
def test_a_blank_that_is_not_an_output_is_refused(blank_id: int) -> None:
    with pytest.raises(VocabularyError, match=f"blank_id is {blank_id},"):
        vocabulary(num_outputs=8, blank_id=blank_id)


def test_two_tokens_with_one_id_are_refused() -> None:
    with pytest.raises(VocabularyError, match=r"\['A'\]"):
        vocabulary({**TOKENS, "C": 3})


def test_outputs_without_any_token_are_refused() -> None:
    with pytest.raises(VocabularyError, match=r"\[7, 8\]"):
        vocabulary(num_outputs=9, unknown_token=None)


def test_ids_without_any_token_are_refused() -> None:
    with pytest.raises(VocabularyError, match="the id 99"):
        vocabulary(unknown_token=None).text((3, 99))


def test_a_space_separates_words_where_the_delimiter_has_no_token() -> None:
    spaced = vocabulary({"<pad>": 0, "A": 1, " ": 2}, unknown_token=None)
    assert spaced.word_delimiter_id == 2
    assert spaced.text((1, 2, 1)) == "A A"
