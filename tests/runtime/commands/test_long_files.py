"""Laws of ``sewd transcribe`` on long files: a break loses nothing, and what follows it changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sewd_runtime.cli import main
from sewd_runtime.inference.network import Network
from sewd_runtime.long import steps
from sewd_runtime.recognizer import Recognizer
from sewd_runtime.text.formats import as_text

Capture = pytest.CaptureFixture[str]
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes of bursts of noise, some of them too long for one window."""
    random = np.random.default_rng(0)
    pieces = []
    for seconds in random.permutation([*random.uniform(0.5, 4, 20), 30.0, 25.0]):
        pieces += [random.normal(0, 0.1, int(seconds * RATE_HZ)), random.normal(0, 1e-4, RATE_HZ)]
    path = tmp_path_factory.mktemp("long") / "talk.flac"
    soundfile.write(path, np.concatenate(pieces), RATE_HZ)
    return path


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_GROUP_SAMPLES", 150_000)


def transcribe(bundle: Path, *arguments: object) -> int:
    return main(["transcribe", "--model", str(bundle), "--threads", "1", *map(str, arguments)])


def interrupt_after(monkeypatch: pytest.MonkeyPatch, runs: int) -> list[int]:
    """Press Ctrl-C in the run after so many; return the runs that there were."""
    run, count = Network.run_each, [0]

    def counted(self: Network, recordings: Any) -> Any:
        if count[0] == runs:
            raise KeyboardInterrupt
        count[0] += 1
        return run(self, recordings)

    monkeypatch.setattr(Network, "run_each", counted)
    return count


@pytest.mark.parametrize("flags", [[], ["--no-pauses"], ["--vad"]])
def test_wherever_it_is_interrupted_the_result_is_the_same(
    tiny_bundle: Path, long_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    arguments = (long_file, "--format", "json", "--output", tmp_path, *flags)
    count = interrupt_after(monkeypatch, -1)
    assert transcribe(tiny_bundle, *arguments) == 0
    expected, runs = (tmp_path / "talk.json").read_text(), count[0]
    assert runs >= 5
    assert names(tmp_path) == [".sewd-outputs", "talk.json"]
    for broken in range(runs) if not flags else (0, runs // 2, runs - 1):
        monkeypatch.undo()
        monkeypatch.setattr(steps, "_GROUP_SAMPLES", 150_000)
        (tmp_path / "talk.json").unlink(missing_ok=True)
        interrupt_after(monkeypatch, broken)
        assert transcribe(tiny_bundle, *arguments) == 130
        assert names(tmp_path) == [".sewd-outputs", "talk.partial.jsonl"]
        monkeypatch.undo()
        monkeypatch.setattr(steps, "_GROUP_SAMPLES", 150_000)
        count = interrupt_after(monkeypatch, -1)
        assert transcribe(tiny_bundle, *arguments, "--resume") == 0
        assert count[0] <= runs - broken + 3  # a region that was not finished is taken up a little before
        assert (tmp_path / "talk.json").read_text() == expected
        assert names(tmp_path) == [".sewd-outputs", "talk.json"]


def test_a_killed_process_keeps_what_it_finished(tiny_bundle: Path, long_file: Path, tmp_path: Path) -> None:
    expected = tmp_path / "expected"
    arguments = ["transcribe", "--model", str(tiny_bundle), "--threads", "1", "--format", "json"]
    assert main([*arguments, str(long_file), "--output", str(expected)]) == 0
    small = (
        "from sewd_runtime import cli; from sewd_runtime.long import steps; steps._GROUP_SAMPLES = 150_000; "
    )
    broken, journal = tmp_path / "broken", tmp_path / "broken/talk.partial.jsonl"
    command = [*arguments, str(long_file), "--output", str(broken), "--resume"]
    for lines in (2, 4, 7):
        process = subprocess.Popen([sys.executable, "-c", f"{small}cli.main({command!r})"])
        while process.poll() is None and lines_of(journal) < lines:
            time.sleep(0.001)
        process.kill()
        process.wait()
    assert main(command) == 0
    assert (broken / "talk.json").read_text() == (expected / "talk.json").read_text()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def lines_of(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_an_interrupt_prints_the_text_so_far(
    tiny_bundle: Path, long_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    model = Recognizer.load(tiny_bundle, threads=1)
    whole = model.transcribe(long_file)
    interrupt_after(monkeypatch, 3)
    assert transcribe(tiny_bundle, long_file, "--format", "json") == 130
    captured = capsys.readouterr()
    printed = json.loads(captured.out)
    assert 0 < printed["duration_s"] < whole.duration_s
    assert whole.text.startswith(printed["text"])
    assert f"{long_file}: interrupted at 0:00:" in captured.err


def test_a_journal_is_not_resumed_or_overwritten_unasked(
    tiny_bundle: Path, long_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    interrupt_after(monkeypatch, 2)
    assert transcribe(tiny_bundle, long_file, "--output", tmp_path) == 130
    assert transcribe(tiny_bundle, long_file, "--output", tmp_path) == 1
    assert "continue it with --resume, or delete the file" in capsys.readouterr().err
    assert transcribe(tiny_bundle, long_file, "--output", tmp_path, "--resume", "--no-pauses") == 1
    assert "options was" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--resume"], "--resume needs --output"),
        (["--output", "out"], "would both be written to"),
    ],
)
def test_misuse_is_reported(
    long_file: Path, misuse: Callable[..., str], flags: list[str], complaint: str
) -> None:
    files = [long_file] if "--resume" in flags else [long_file, "other/talk.wav"]
    assert complaint in misuse("transcribe", *files, *flags)


def test_several_files_each_get_their_own(tiny_bundle: Path, long_file: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.wav"
    soundfile.write(short, np.random.default_rng(1).normal(0, 0.1, 20_000), RATE_HZ)
    assert transcribe(tiny_bundle, short, long_file, "--output", tmp_path / "out") == 0
    model = Recognizer.load(tiny_bundle, threads=1)
    for name, path in (("short.txt", short), ("talk.txt", long_file)):
        assert (tmp_path / "out" / name).read_text() == as_text(model.transcribe(path))


def test_a_terminal_shows_the_position(
    tiny_bundle: Path, long_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert transcribe(tiny_bundle, long_file) == 0
    drawn = capsys.readouterr().err
    assert "100% 0:02:" in drawn
    assert "x real time" in drawn
    assert drawn.endswith("\r\033[K")


def test_only_the_journal_of_this_run_is_deleted(
    tiny_bundle: Path, long_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    interrupt_after(monkeypatch, 2)
    assert transcribe(tiny_bundle, long_file, "--output", out) == 130
    monkeypatch.undo()
    journal = (out / "talk.partial.jsonl").read_bytes()
    short = tmp_path / long_file.name
    soundfile.write(short, np.zeros(RATE_HZ), RATE_HZ)
    assert transcribe(tiny_bundle, short, "--output", out) == 0
    assert (out / "talk.txt").exists()
    assert (out / "talk.partial.jsonl").read_bytes() == journal
    (out / "talk.partial.jsonl").write_bytes(b"my notes")
    assert transcribe(tiny_bundle, long_file, "--output", out, "--resume") == 1
    assert (out / "talk.partial.jsonl").read_bytes() == b"my notes"
