"""Law: what a model writes, alignment, hotwords, lexicons and language models accept."""

from __future__ import annotations

import dataclasses
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sewd_runtime.bundle.manifest import CtcEntry
from sewd_runtime.cli import main
from sewd_runtime.decode.fusion import compile_tables
from sewd_runtime.decode.lm.kneser_ney import UNKNOWN
from sewd_runtime.decode.lm.model import choose_form
from sewd_runtime.decode.lm.normalisation import sentences
from sewd_runtime.errors import HotwordError, LexiconError, TextError, TextWarning
from sewd_runtime.text.spelling import Speller
from sewd_runtime.text.vocabulary import Vocabulary

TOKENS = {"<pad>": 0, "<unk>": 1, "|": 2, "A": 3, "B": 4, "'": 5, "S": 6}
CTC = CtcEntry(
    blank_id=0, unknown_token="<unk>", word_delimiter="|", do_lower_case=False, clean_up_spaces=False
)
LETTERS = "abABsSßẞ\u03c3ςΣéÉñ\u0131İiIK\u212b\u0301\u0323\u0307e'\u2019-.,か\u3099が今天ก\u0e31ﬁ½2\u200d"
CLIPS = Path(__file__).parents[3] / "export/sewd_export/speech"


def vocabulary(tokens: dict[str, int] = TOKENS, outputs: int | None = None, **changes: object) -> Vocabulary:
    ctc = dataclasses.replace(CTC, **changes)
    return Vocabulary.from_manifest(tokens, ctc, len(tokens) if outputs is None else outputs)


def letters(text: str, **changes: object) -> Vocabulary:
    return vocabulary({"<pad>": 0, "|": 1, **{one: 2 + id_ for id_, one in enumerate(text)}}, **changes)


def encode(text: str, words: Vocabulary) -> tuple[int, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Speller(words).encode(text)


@st.composite
def vocabularies(draw: st.DrawFn) -> Vocabulary:
    tokens = draw(st.lists(st.text(LETTERS, min_size=1, max_size=3), min_size=1, max_size=12, unique=True))
    delimiter = draw(st.sampled_from(["|", " ", None]))
    special = ["<pad>", "<unk>", *([delimiter] if delimiter else [])]
    names = draw(st.permutations([*special, *tokens]))
    unknown = draw(st.sampled_from(["<unk>", None]))
    return vocabulary(
        {name: id_ for id_, name in enumerate(names)},
        len(names) + (draw(st.integers(0, 2)) if unknown else 0),
        blank_id=names.index("<pad>"),
        word_delimiter=delimiter,
        unknown_token=unknown,
        do_lower_case=draw(st.booleans()),
        clean_up_spaces=draw(st.booleans()),
    )


class Listed:
    """A language model of some words."""

    def __init__(self, words: list[str]) -> None:
        self.level, self._words = "word", words

    def words(self) -> list[str]:
        return self._words


@settings(max_examples=400)
@given(words=vocabularies(), choose=st.data())
def test_what_a_model_writes_is_accepted(words: Vocabulary, choose: st.DataObject) -> None:
    outputs = sorted({*words.canonical_ids} - {words.blank_id})
    text = words.text(choose.draw(st.lists(st.sampled_from(outputs), max_size=12)))
    token_ids = encode(text, words)
    if not words.clean_up_spaces:  # which is not the same twice: "a  ." and "a ." differ
        spelled, written = words.text(token_ids), text
        if words.do_lower_case:  # a model with both \u03a3 and \u03c3 may write either at the end of a word
            spelled, written = spelled.casefold(), written.casefold()
        assert spelled.split() == written.split()
    if not text:
        return
    size = max(*words.canonical_ids, len(words.canonical_ids) - 1) + 1
    spoken = text.split()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compile_tables(words, vocab=size, lm=None, lexicon=None, hotwords={text: 1.0})
        compile_tables(words, vocab=size, lm=None, lexicon=spoken, hotwords={})
    for units in sentences([text], words):
        assert UNKNOWN not in units or UNKNOWN in words.pieces.values()
        form = choose_form(Listed(units), words)  # type: ignore[arg-type]
        if words.word_delimiter_id is not None:
            pieces = "".join(map(words.piece, encode(units[0], words)))
            assert form(pieces).casefold() == units[0].casefold()


@given(st.lists(st.sampled_from([3, 4, 5, 6, 2]), max_size=20))
def test_either_case_gives_the_same_tokens(token_ids: list[int]) -> None:
    text = vocabulary().text(token_ids)
    encoded = encode(f" {text}\n", vocabulary())
    assert vocabulary().text(encoded) == " ".join(text.split())
    assert encode(text.lower(), vocabulary()) == encoded


def test_any_white_space_is_one_word_delimiter() -> None:
    assert encode("\n a\t\u00a0 B \u2003s ", vocabulary()) == (3, 2, 4, 2, 6)
    assert encode(" \n", vocabulary()) == encode("", vocabulary()) == ()


def test_a_letter_keeps_its_case_if_possible() -> None:
    both = vocabulary({**TOKENS, "a": 7})
    assert encode("aAbB", both) == (3, 3, 4, 4)  # one case for a word that is not there as given
    assert encode("aA", both) == (7, 3)
    assert encode("ßSẞ", letters("ßs")) == (2, 3, 2)
    assert encode("ß", vocabulary()) == (6, 6)  # its capital is SS


def test_the_longest_tokens_that_leave_a_rest_that_can_be_spelled() -> None:
    pairs = vocabulary({"<pad>": 0, "a": 1, "ab": 2, "bc": 3, "b": 4}, unknown_token=None)
    assert encode("abb", pairs) == (2, 4)
    assert encode("abc", pairs) == (1, 3)
    assert encode("ABC", pairs) == (1, 3)


@pytest.mark.parametrize(
    ("letters_of_model", "text", "written"),
    [
        ("É", "e\u0301", "É"),
        ("é", "É", "é"),
        ("e\u0301", "\u00e9", "e\u0301"),
        ("λογσς", "ΛΟΓΟΣ", "λογος"),
        ("ΛΟΓΣ", "λογος", "ΛΟΓΟΣ"),
        ("λογσ", "λογος", "λογοσ"),
        ("ONE'", "one\u2019", "ONE'"),
        ("ONE\u2019", "one\u2019", "ONE\u2019"),
        ("A-B", "a\u2010b", "A-B"),
        ("FI", "\ufb01", "FI"),
        ("AB", "\uff41\uff22", "AB"),
        ("COé", "coÉ", "COé"),
        ("AB\u02bc", "a'b", "A\u02bcB"),
        ("hawi\u02bb", "HAWAI\u2018I", "hawai\u02bbi"),
        ("\u0e19\u0e49\u0e33", "\u0e19\u0e4d\u0e32", "\u0e19\u0e33"),  # sara am in one or two
        ("ABILNST\u0130", "istanbul".replace("u", ""), "\u0130STANBL"),
        ("abrktl\u0131i", "IRAK \u0130ki".replace("k", "K"), "\u0131rak iki"),
    ],
)
def test_the_form_of_a_word_that_the_model_has(letters_of_model: str, text: str, written: str) -> None:
    model = letters(letters_of_model)
    assert model.text(encode(text, model)) == written


@pytest.mark.parametrize(
    ("text", "written", "left_out"),
    [
        ("Six, seven.", "SIX SEVEN", ", ."),
        ("caf\u00e9", "CAFE", "U+0301 (combining acute accent)"),
        ("o\u2019clock", "OCLOCK", "'"),
        ("well-known\u2026", "WELL KNOWN", "- ."),
        ("six\u00ad\u200bteen", "SIXTEEN", "U+00AD (soft hyphen) U+200B (zero width space)"),
        ("\u201cλ\u201d".replace("λ", "now"), "NOW", '"'),
        ("- six -", "SIX", "-"),
        ("six \u263a\ufe0f", "SIX", "\u263a U+FE0F (variation selector-16)"),
        ("s\u0640ix", "SIX", "\u0640"),
        ("DON\ua78cT", "DONT", "'"),
    ],
)
def test_a_warning_says_what_is_left_out(text: str, written: str, left_out: str) -> None:
    model = letters("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    with pytest.warns(TextWarning) as caught:
        assert model.text(Speller(model).encode(text)) == written
    assert str(caught[0].message).endswith(f": {left_out}")


def test_a_character_that_cannot_be_written_is_named_with_its_position() -> None:
    with pytest.raises(TextError, match=r"cannot write '7', character 5 of the text, in 'ab s7 b'; .* 'ABS$"):
        encode("ab  s7 b", vocabulary())
    with pytest.raises(TextError, match=r"'\.\.\.bbbbbbbbbbbbbbbbbbbb7'"):
        encode("b" * 50 + "7", vocabulary())
    with pytest.raises(TextError, match="cannot write 'C'"):  # which is no output
        encode("C", vocabulary({**TOKENS, "C": 40}, 7))


def test_without_a_word_delimiter_white_space_has_no_token() -> None:
    assert encode("a b", vocabulary(word_delimiter=None)) == (3, 4)


def test_hotwords_and_lexicons_say_what_the_model_cannot_write() -> None:
    model = letters("SIXO'CLK")
    options = {"vocab": 10, "lm": None}
    with pytest.warns(TextWarning, match=r"cannot write 2 of the 3 words in the lexicon: '3', 'x-x'$"):
        compile_tables(model, lexicon=["six", "3", "x-x"], hotwords={}, **options)
    with pytest.warns(TextWarning, match=r"left out of 'six!': !$"):
        compile_tables(model, lexicon=None, hotwords={"six!": 2.0, "o\u2019clock": 2.0}, **options)
    with pytest.raises(HotwordError, match=r"hotword '3': the model cannot write '3'"):
        compile_tables(model, lexicon=None, hotwords={"3": 2.0}, **options)


@pytest.mark.parametrize("characters", [False, True])
def test_marks_of_sentences_in_a_text_are_no_words(characters: bool) -> None:
    model = vocabulary({**TOKENS, "<s>": 7, "</s>": 8})
    marked = list(sentences(["<s> ab <unk> </s>", "<s> </s>"], model, characters=characters))
    assert marked == [["A", "B", "|", "<unk>"] if characters else ["AB", "<unk>"]]


def test_an_empty_lexicon_is_named() -> None:
    with pytest.raises(LexiconError, match="the lexicon is empty"):
        compile_tables(vocabulary(), vocab=7, lm=None, lexicon=[], hotwords={})


def test_the_command_tells_what_it_leaves_out_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    clip = str(CLIPS / "awb_1.flac")
    assert main(["transcribe", clip]) == 0
    said = capsys.readouterr().out.strip()
    text = f"{said.lower().replace(' ', ', ')}."
    for _ in range(2):
        assert main(["align", "--text", text, "--format", "text", clip]) == 0
        captured = capsys.readouterr()
        assert captured.out.strip() == said
        assert captured.err.startswith("sewd: the model cannot write these, so they are left out of ")
        assert captured.err.endswith(": , .\n")


def test_a_long_text_is_spelled_in_time_that_grows_with_it() -> None:
    model = letters("ABCDEFGHIJKLMNOPQRSTUVWXYZ'")
    rng = np.random.default_rng(0)
    text = " ".join("".join(rng.choice(list("abcxyz'é"), 6)) for _ in range(3000))
    with pytest.warns(TextWarning):
        assert len(Speller(model).encode(text)) > 15_000
    assert math.isfinite(len(encode("a" * 20_000, model)))
