"""`sewd transcribe` and `sewd align`: where transcripts are written, and as what."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sewd_runtime import Recognizer
from sewd_runtime.cli import main
from sewd_runtime.system.outputs import OutputFolder
from sewd_runtime.text.formats import FORMATS

Capture = pytest.CaptureFixture[str]
Misuse = Callable[..., str]


@pytest.fixture(scope="module")
def recognizer(tiny_bundle: Path) -> Recognizer:
    return Recognizer.load(tiny_bundle, threads=1)


@pytest.fixture
def noises(tmp_path: Path) -> list[str]:
    paths = []
    for index, length in enumerate((16_001, 5_000, 30_000)):
        path = tmp_path / "in" / f"noise {index}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.random.default_rng(index).normal(0, 0.1, length), 16_000)
        paths.append(str(path))
    return paths


def sewd(command: str, bundle: Path, *arguments: str | Path) -> int:
    return main([command, "--model", str(bundle), "--threads", "1", *map(str, arguments)])


@pytest.mark.parametrize("name", ["srt", "vtt", "tsv"])
def test_one_file_fills_standard_output(
    recognizer: Recognizer, tiny_bundle: Path, noises: list[str], name: str, capsys: Capture
) -> None:
    assert sewd("transcribe", tiny_bundle, "--format", name, noises[0]) == 0
    captured = capsys.readouterr()
    assert captured.out == FORMATS[name].write(recognizer.transcribe(noises[0]))
    assert captured.err == ""


@pytest.mark.parametrize("name", ["srt", "vtt", "tsv"])
def test_two_documents_cannot_share_standard_output(noises: list[str], name: str, misuse: Misuse) -> None:
    assert misuse("transcribe", "--format", name, *noises) == (
        f"sewd transcribe: error: --format {name} takes one FILE; for several give --output DIR"
    )


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_gets_a_file_for_each(
    recognizer: Recognizer,
    tiny_bundle: Path,
    noises: list[str],
    tmp_path: Path,
    name: str,
    capsys: Capture,
) -> None:
    out = tmp_path / "new" / "folder"
    assert sewd("transcribe", tiny_bundle, "--format", name, "--output", out, *noises) == 0
    assert capsys.readouterr() == ("", "")
    written = FORMATS[name]
    assert written_to(out) == [f"noise {index}{written.ending}" for index in range(3)]
    for path in noises:
        content = (out / f"{Path(path).stem}{written.ending}").read_bytes()
        assert content.decode() == written.write(recognizer.transcribe(path))


def test_a_bad_file_gets_no_transcript_and_stops_no_other(
    tiny_bundle: Path, noises: list[str], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "notes.txt").write_text("not audio")
    out = tmp_path / "out"
    arguments = ("--format", "srt", "--output", out, tmp_path / "notes.txt", noises[0])
    assert sewd("transcribe", tiny_bundle, *arguments) == 1
    assert written_to(out) == ["noise 0.srt"]
    assert "notes.txt: " in capsys.readouterr().err


def test_only_unchanged_files_of_ours_are_replaced(
    tiny_bundle: Path, noises: list[str], tmp_path: Path, capsys: Capture, misuse: Misuse
) -> None:
    out, written = tmp_path / "out", tmp_path / "out" / "noise 0.srt"
    arguments = ("--format", "srt", "--output", out, *noises[:2])
    for flags in ([], [], ["--vad"]):  # repeated as it was, and otherwise
        assert sewd("transcribe", tiny_bundle, *arguments, *flags) == 0
    for mine in (b"1\n", written.read_bytes() + b"\n", b""):
        written.write_bytes(mine)
        assert f"{written}: was not written by sewd, or" in misuse("transcribe", *arguments)
        assert written.read_bytes() == mine
    (out / ".sewd-outputs").unlink()
    written.unlink()
    assert "noise 1.srt: was not written by sewd" in misuse("transcribe", *arguments)
    assert capsys.readouterr() == ("", "")


def test_a_file_that_appears_meanwhile_is_not_replaced(
    tiny_bundle: Path, noises: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    out = tmp_path / "out"
    write = OutputFolder.write

    def write_late(folder: OutputFolder, path: Path, text: str, **source: str) -> None:
        if path.name == "noise 0.txt":
            path.write_text("mine")
        write(folder, path, text, **source)

    monkeypatch.setattr(OutputFolder, "write", write_late)
    assert sewd("transcribe", tiny_bundle, "--output", out, *noises[:2]) == 1
    assert "noise 0.txt: was not written by sewd" in capsys.readouterr().err
    assert (out / "noise 0.txt").read_text() == "mine"
    assert written_to(out) == ["noise 0.txt", "noise 1.txt"]


def test_two_files_of_one_name_are_refused_before_any_is_run(
    tiny_bundle: Path, noises: list[str], tmp_path: Path, misuse: Misuse
) -> None:
    other = tmp_path / "noise 0.flac"
    out = tmp_path / "out"
    complaint = misuse("transcribe", "--output", out, noises[0], other)
    assert f"{noises[0]} and {other} would both be written to {out / 'noise 0.txt'}" in complaint
    assert not out.exists()
    listed = tmp_path / "list.tsv"  # as the complaint says
    listed.write_text(f"one\t{noises[0]}\nother\t{noises[1]}\n")
    assert "for --files-from, on each line ID, tab, PATH" in complaint
    assert sewd("transcribe", tiny_bundle, "--output", out, "--files-from", listed) == 0
    assert written_to(out) == ["one.txt", "other.txt"]


def test_what_is_in_the_way_is_named(
    tiny_bundle: Path, noises: list[str], tmp_path: Path, capsys: Capture, misuse: Misuse
) -> None:
    for path in (noises[1], tmp_path / "talk.srt"):
        assert f"--output {path}: not a folder" in misuse("transcribe", "--output", path, noises[0])
    (tmp_path / "out" / "noise 0.txt").mkdir(parents=True)
    assert sewd("transcribe", tiny_bundle, "--output", tmp_path / "out", *noises[:2]) == 1
    assert f"sewd: {tmp_path / 'out' / 'noise 0.txt'}" in capsys.readouterr().err
    assert written_to(tmp_path / "out") == ["noise 0.txt", "noise 1.txt"]


def test_characters_are_in_the_json(
    tiny_bundle: Path, noises: list[str], capsys: Capture, misuse: Misuse
) -> None:
    assert sewd("transcribe", tiny_bundle, "--json", "--characters", noises[0]) == 0
    for word in json.loads(capsys.readouterr().out)["words"]:
        assert "".join(one["text"] for one in word["characters"]) == word["text"]
    assert misuse("transcribe", "--characters", noises[0]).endswith("--characters needs --json")


def test_align_writes_the_times_of_a_text(
    recognizer: Recognizer, tiny_bundle: Path, noises: list[str], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "text.txt").write_bytes("\ufeffe t\n".encode())
    expected = recognizer.align(noises[0], "E T")
    assert [word.text for word in expected.words] == ["E", "T"]
    for source in (("--text", "e t"), ("--text-file", tmp_path / "text.txt")):
        for name in ("srt", "vtt", "tsv", "text"):
            assert sewd("align", tiny_bundle, *source, "--format", name, noises[0]) == 0
            assert capsys.readouterr().out == FORMATS[name].write(expected)
        assert sewd("align", tiny_bundle, *source, noises[0]) == 0
        found = json.loads(capsys.readouterr().out)
        assert [word["start_s"] for word in found["words"]] == [word.start_s for word in expected.words]
    assert sewd("align", tiny_bundle, "--text", "e t", "--output", tmp_path / "out", noises[0]) == 0
    assert written_to(tmp_path / "out") == ["noise 0.json"]


def test_align_reads_standard_input(
    recognizer: Recognizer,
    tiny_bundle: Path,
    noises: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(noises[0]).read_bytes())))
    assert sewd("align", tiny_bundle, "--text", "e t", "--format", "tsv", "-") == 0
    assert capsys.readouterr().out == FORMATS["tsv"].write(recognizer.align(noises[0], "e t"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("E 3", "the model cannot write '3'"),
        ("E" * 300, "300 tokens, with a blank in each of 299"),
    ],
)
def test_align_names_a_text_that_cannot_be_it(
    tiny_bundle: Path, noises: list[str], text: str, message: str, capsys: Capture
) -> None:
    assert sewd("align", tiny_bundle, "--text", text, noises[0]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"sewd: {noises[0]}: {message}")
    assert captured.err.count("\n") == 1


def test_align_names_a_text_file_it_cannot_read(
    tiny_bundle: Path, noises: list[str], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "latin.txt").write_bytes(b"\xe9")
    for name in ("nothing.txt", "latin.txt"):
        assert sewd("align", tiny_bundle, "--text-file", tmp_path / name, noises[0]) == 1
        assert capsys.readouterr().err.startswith(f"sewd: {tmp_path / name}: ")


@pytest.mark.parametrize(
    "arguments", [["a.wav"], ["--text", "A", "--text-file", "b", "a.wav"], ["--text", "A"]]
)
def test_align_needs_one_text_and_one_file(arguments: list[str], misuse: Misuse) -> None:
    assert misuse("align", *arguments).startswith("sewd align: error: ")


def written_to(folder: Path) -> list[str]:
    """Return the names in a folder, without that of the record of what was written."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".sewd-outputs")


def test_subtitles_take_the_limits_of_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    clip = str(Path(__file__).parents[3] / "export/sewd_export/speech/awb_1.flac")
    assert main(["transcribe", "--format", "srt", "--line-characters", "7", "--lines", "1", clip]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 7 for line in lines if line.isalpha())
    assert main(["transcribe", "--format", "vtt", "--highlight", clip]) == 0
    assert "<00:00:0" in capsys.readouterr().out
    assert main(["transcribe", "--case", "sentence", clip]) == 0
    assert capsys.readouterr().out[1].islower()


@pytest.mark.parametrize(
    "options",
    [
        ["--lines", "1"],
        ["--highlight", "--format", "srt"],
        ["--shortest-cue", "0", "--format", "srt"],
        ["--case", "upper"],
    ],
)
def test_options_of_subtitles_need_subtitles(options: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["transcribe", *options, "speech.wav"])
    assert ended.value.code == 2


def test_align_leniently_keeps_what_cannot_be_written(
    recognizer: Recognizer, tiny_bundle: Path, noises: list[str], capsys: Capture
) -> None:
    assert sewd("align", tiny_bundle, "--text", "E 3", "--lenient", "--format", "tsv", noises[0]) == 0
    assert capsys.readouterr().out == FORMATS["tsv"].write(recognizer.align(noises[0], "E 3", lenient=True))
