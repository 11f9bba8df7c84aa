"""Law: words are counted against what a folder's transcripts.tsv says, and a bad one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from sewd_export.errors import ExportError
from sewd_export.parity.transcripts import read_transcripts, word_errors
from sewd_runtime.bundle.manifest import CtcEntry
from sewd_runtime.decode.lm.normalisation import normaliser
from sewd_runtime.text.vocabulary import Vocabulary


def recordings(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return [folder / name for name in names]


def test_each_folder_has_its_own(tmp_path: Path) -> None:
    one, two, untold, elsewhere = recordings(tmp_path, "a/0.wav", "a/1.flac", "a/2.wav", "b/0.wav")
    lines = ["0\tONE  TWO\tvoice", "1.flac\tDREI Ü", "9\tNO RECORDING"]
    (tmp_path / "a" / "transcripts.tsv").write_text("\n".join(lines), encoding="utf-8")
    found = read_transcripts([one, two, untold, elsewhere])
    assert found == {one: "ONE  TWO", two: "DREI Ü"}
    assert read_transcripts([elsewhere]) == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"0\tONE\n1 TWO\n", "line 2: '1 TWO' has no tab"),
        (b"0\tONE\n0\tTWO\n", "line 2: '0' is listed twice"),
        (b"0\t\xff", "UTF-8"),
        (b"other\tONE\n", r"lists none of the recordings beside it, e\.g\. 0\.wav"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    paths = recordings(tmp_path, "0.wav")
    (tmp_path / "transcripts.tsv").write_bytes(content)
    with pytest.raises(ExportError, match=rf"transcripts\.tsv: .*{words}"):
        read_transcripts(paths)


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
