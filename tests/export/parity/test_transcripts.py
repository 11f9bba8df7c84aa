"""Law: words are counted against what a folder's transcripts.tsv says, and a bad one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from sewd_export.errors import ExportError
from sewd_export.parity.transcripts import read_transcripts, word_errors


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
    assert word_errors(truth, text) == errors
