"""Laws of ``--files-from`` and of the list of failures."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sewd_runtime.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    (tmp_path / "audio").mkdir()
    for name in "abc":
        soundfile.write(tmp_path / "audio" / f"{name}.wav", random.normal(0, 0.1, 4000), 16_000)
    return tmp_path


@pytest.fixture
def transcribe(tiny_bundle: Path) -> Callable[..., int]:
    def run(*arguments: object) -> int:
        options = ["--model", str(tiny_bundle), "--threads", "1"]
        return main(["transcribe", *options, *map(str, arguments)])

    return run


JSON_LINES = '{"id": 7, "audio": "audio/a.wav", "text": "x"}\n\n{"path": "audio/b.wav"}\n'


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("audio/a.wav\r\naudio/b.wav\n", ["a", "b"]),
        ("audio\n", ["a", "b", "c"]),
        ("one\taudio/a.wav\ntwo\taudio/b.wav", ["one", "two"]),
        ("text\tpath\tid\nx\taudio/a.wav\tone\nx\taudio/a.wav\ttwo\n", ["one", "two"]),
        (JSON_LINES, ["7", "b"]),
    ],
)
def test_each_form_of_a_list(
    transcribe: Callable[..., int], folder: Path, content: str, names: list[str]
) -> None:
    (folder / "list").write_bytes(content.encode())
    assert transcribe("--files-from", folder / "list", "--output", folder / "out") == 0
    assert sorted(path.stem for path in (folder / "out").glob("*.txt")) == sorted(names)


def test_a_list_from_stdin_with_ids(
    transcribe: Callable[..., int], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(folder)
    for flags in ([], ["--json"]):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\taudio/a.wav\naudio/b.wav")))
        assert transcribe("--files-from", "-", *flags, "audio/c.wav") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines[:3]] == ["audio/c.wav", "one", "audio/b.wav"]
    assert [json.loads(line).get("id") for line in lines[3:]] == [None, "one", None]
    assert [json.loads(line)["file"] for line in lines[3:]] == ["audio/c.wav", "audio/a.wav", "audio/b.wav"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("one\ta.wav\none\tb.wav", "line 2: the id 'one' is listed twice"),
        ("x/y\ta.wav", "line 1: the id 'x/y' cannot be the name of an output"),
        ("{broken", "line 1: not JSON"),
        ('{"id": "a"}', "line 1: write ID, tab, PATH"),
        ("a.wav\n-\n", "line 2: '-' is not the name of a file"),
    ],
)
def test_a_bad_list_is_wrong_usage(
    folder: Path, misuse: Callable[..., str], content: str, complaint: str
) -> None:
    (folder / "list").write_text(content)
    assert complaint in misuse("transcribe", "--files-from", folder / "list")


def test_no_file_and_a_missing_list_are_wrong_usage(folder: Path, misuse: Callable[..., str]) -> None:
    assert "give a FILE, or a list of files with --files-from" in misuse("transcribe")
    assert f"--files-from {folder / 'none'}: No such file" in misuse(
        "transcribe", "--files-from", folder / "none"
    )


def test_failures_are_listed_and_the_list_can_be_run_again(
    transcribe: Callable[..., int], folder: Path, capsys: Capture
) -> None:
    bad = folder / "audio" / "b2.wav"
    bad.write_text("no audio")
    lines = [f"{number}\taudio/{name}.wav" for number, name in enumerate(["a", "b", "c", "b2"] * 3)]
    (folder / "list").write_text("\n".join(lines))
    out, failures = folder / "out", folder / "out" / "failures.jsonl"
    assert transcribe("--files-from", folder / "list", "--output", out) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 4
    told = f"sewd: recordings failed, 3 of 12: 3, 7, 11; {failures} is a list of them for --files-from"
    assert errors[-1] == told
    listed = [json.loads(line) for line in failures.read_text().splitlines()]
    assert [(row["id"], row["path"]) for row in listed] == [(one, str(bad)) for one in ("3", "7", "11")]
    assert all("cannot be read as audio" in row["error"] for row in listed)
    assert len(list(out.glob("*.txt"))) == 9
    bad.write_bytes((folder / "audio" / "a.wav").read_bytes())
    assert transcribe("--files-from", failures, "--output", out) == 0
    assert len(list(out.glob("*.txt"))) == 12
    assert not failures.exists()
