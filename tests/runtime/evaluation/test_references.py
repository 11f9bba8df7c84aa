"""Law: every utterance gets the text that its list has, and a bad list is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from sewd_runtime import TextError
from sewd_runtime.evaluation.references import Utterance, read_hypotheses, read_manifest, read_transcripts


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
    with pytest.raises(TextError, match=rf"transcripts\.tsv: .*{words}"):
        read_transcripts(paths)


def test_a_folder_and_a_list_are_the_same(tmp_path: Path) -> None:
    recordings(tmp_path, "a/0.wav", "a/1.flac", "b/0.wav", "b/unlisted.wav")
    (tmp_path / "a/transcripts.tsv").write_text("0\tone two\n1\tthree\n")
    (tmp_path / "b/transcripts.tsv").write_text("0.wav\tfour\tvoice\n")
    (tmp_path / "list.tsv").write_text("a/0.wav\tone two\na/1.flac\tthree\nb/0.wav\tfour\n")
    lines = [
        '{"audio": "a/0.wav", "text": "one two"}',
        '{"audio_filepath": "a/1.flac", "duration": 1.5, "text": "three"}',
        '{"file": "b/0.wav", "text": "four", "words": []}',
        "",
    ]
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    listed = read_manifest(tmp_path)
    assert listed == read_manifest(tmp_path / "list.tsv") == read_manifest(tmp_path / "list.jsonl")
    assert [(one.name, one.text) for one in listed] == [
        ("a/0.wav", "one two"),
        ("a/1.flac", "three"),
        ("b/0.wav", "four"),
    ]
    assert all(one.path == tmp_path / one.name for one in listed)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("list.tsv", "", "lists nothing"),
        ("list.tsv", "a.wav one two", "line 1: 'a.wav one two' has no tab"),
        ("list.tsv", "a.wav\tone\na.wav\ttwo", "line 2: 'a.wav' is listed twice"),
        ("list.jsonl", '{"audio": "a.wav", "text": "one"}\n[1]', 'line 2: write {"audio"'),
        ("list.jsonl", '{"audio": "a.wav", "text": null}', 'line 1: write {"audio"'),
        ("list.jsonl", '{"text": "one"}', 'line 1: write {"audio"'),
        ("list.jsonl", "a.wav\tone", "line 1: not JSON"),
        ("list.jsonl", r'{"audio": "a\u0000", "text": "one"}', r"'a\x00' is not the name of a file"),
        ("list.jsonl", r'{"audio": "\ud800", "text": "one"}', r"'\ud800' is not the name of a file"),
        ("list.tsv", "-\tone", "'-' is not the name of a file"),
        ("list.jsonl", "[" * 100_000, "line 1: not JSON"),
        ("report.json", '{\n "systems": []\n}', '; write {"audio": "a.wav", "text": "what is said"}'),
        ("list.jsonl", '{"id": "a", "text": ""}\n{"id": "a", "text": ""}', "line 2: 'a' is listed twice"),
    ],
)
def test_a_bad_list_is_named(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(TextError) as caught:
        read_manifest(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert words in str(caught.value)


def test_a_folder_without_transcripts_is_refused(tmp_path: Path) -> None:
    recordings(tmp_path, "0.wav")
    with pytest.raises(TextError, match="no recording has a transcript in"):
        read_manifest(tmp_path)


def test_hypotheses_are_found_by_name_or_by_stem(tmp_path: Path) -> None:
    utterances = [
        Utterance(name=name, path=tmp_path / name, text="") for name in ("a/0.wav", "b/0.wav", "b/1.wav")
    ]
    path = tmp_path / "texts.tsv"
    path.write_text("b/0.wav\tb0\n1\tb1\na/0.wav\ta0\nother\tx\n")
    assert read_hypotheses(path, utterances) == ["a0", "b0", "b1"]
    path.write_text("b/0.wav\tb0\n1\tb1\nc/0.wav\tc0\n")
    with pytest.raises(TextError, match="several texts that may be that of a/0"):
        read_hypotheses(path, utterances)
    path.write_text("a/0.wav\ta0\nb/0.wav\tb0\n")
    with pytest.raises(TextError, match="no text of b/1"):
        read_hypotheses(path, utterances)
