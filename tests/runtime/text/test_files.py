"""Law: a text file is read rightly in every encoding that can be recognised, and refused in any other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sewd_runtime.cli import main
from sewd_runtime.errors import TextError
from sewd_runtime.text.files import read_text_file

CLIPS = Path(__file__).parents[3] / "export/sewd_export/speech"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@given(text=st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"])))
def test_unicode_is_read_in_every_form(
    text: str, encoding: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "text.txt"
    path.write_bytes(text.encode(encoding))
    assert read_text_file(path) == text


def test_the_marks_of_joined_files_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "joined.txt").write_bytes("one\n".encode("utf-8-sig") * 2)
    assert read_text_file(tmp_path / "joined.txt") == "one\none\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"caf\xe9\n", "not UTF-8 at byte 3; save it as UTF-8"),
        ("six".encode("utf-16-le"), "a zero byte at byte 1"),
        ("six".encode("utf-16-be"), "a zero byte at byte 0"),
        (b"\xff\xfe\x00", "not UTF-16 at byte 2"),
        (b"\xff\xfe\x00\xd8\x41\x00", "not UTF-16 at byte 2"),
        (b"\xef\xbb\xbfa\xff", "not UTF-8 at byte 4"),
        (bytes(range(1, 256)), "not UTF-8 at byte 127"),
    ],
)
def test_anything_else_is_refused_with_its_place(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(TextError, match=rf"list\.txt: {message}"):
        read_text_file(tmp_path / "list.txt")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_no_command_loses_the_first_line(
    encoding: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = str(CLIPS / "awb_1.flac")
    assert main(["transcribe", clip]) == 0
    said = capsys.readouterr().out

    def write(name: str, text: str) -> str:
        (tmp_path / name).write_bytes(text.replace("\n", "\r\n").encode(encoding))
        return str(tmp_path / name)

    words = write("words.txt", said.lower().replace(" ", "\n"))
    assert main(["transcribe", "--lexicon", words, clip]) == 0
    assert capsys.readouterr().out == said
    assert main(["transcribe", "--hotwords", write("hot.txt", "# digits\nsix=0.1\n"), clip]) == 0
    assert capsys.readouterr().out == said
    assert main(["align", "--text-file", write("said.txt", said), "--format", "text", clip]) == 0
    assert capsys.readouterr().out == said
    assert main(["lm", "build", words, "-o", str(tmp_path / "lm.arpa")]) == 0
    assert ", 0 of them unknown" in capsys.readouterr().err


def test_a_command_names_the_encoding_that_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "l.txt").write_bytes(b"caf\xe9\n")
    path, clip = str(tmp_path / "l.txt"), str(CLIPS / "awb_1.flac")
    for arguments in (
        ["transcribe", "--lexicon", path, clip],
        ["transcribe", "--hotwords", path, clip],
        ["align", "--text-file", path, clip],
        ["lm", "build", path, "-o", str(tmp_path / "lm.arpa")],
    ):
        assert main(arguments) != 0
        assert "not UTF-8 at byte 3" in capsys.readouterr().err
