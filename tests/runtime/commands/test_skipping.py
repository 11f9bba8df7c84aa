"""Laws of ``--resume`` and ``--skip-existing``: they skip what is done, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sewd_runtime.cli import main
from sewd_runtime.inference.network import Network

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    random = np.random.default_rng(0)
    paths = [tmp_path / f"{name}.wav" for name in "abc"]
    for path in paths:
        soundfile.write(path, random.normal(0, 0.1, 8000), 16_000)
    return paths


@pytest.fixture
def transcribe(tiny_bundle: Path, tmp_path: Path, files: list[Path]) -> Callable[..., int]:
    def run(*flags: object) -> int:
        arguments = [*files, "--model", tiny_bundle, "--threads", 1, "--output", tmp_path / "out", *flags]
        return main(["transcribe", *map(str, arguments)])

    return run


@pytest.fixture
def num_run(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of recordings in each run of the model."""
    run, counts = Network.run_frames, []

    def counted(self: Network, recordings: Any) -> Any:
        counts.append(len(recordings))
        return run(self, recordings)

    monkeypatch.setattr(Network, "run_frames", counted)
    return counts


@pytest.mark.parametrize("flag", ["--resume", "--skip-existing"])
def test_only_what_is_missing_is_done(
    transcribe: Callable[..., int], tmp_path: Path, num_run: list[int], capsys: Capture, flag: str
) -> None:
    assert transcribe(flag) == 0
    expected = {path.name: path.read_text() for path in (tmp_path / "out").glob("*.txt")}
    (tmp_path / "out" / "b.txt").unlink()
    num_run.clear()
    assert transcribe(flag) == 0
    assert num_run == [1]
    assert capsys.readouterr().err == "sewd: recordings done already: 2 of 3\n"
    assert {path.name: path.read_text() for path in (tmp_path / "out").glob("*.txt")} == expected
    num_run.clear()
    assert transcribe(flag) == 0
    assert num_run == []


def test_resume_does_again_what_would_change(
    transcribe: Callable[..., int], files: list[Path], num_run: list[int], capsys: Capture
) -> None:
    assert transcribe() == 0
    for change in (["--case", "sentence"], ["--decoder", "beam"], ["--start", "0.1"]):
        num_run.clear()
        assert transcribe("--resume", *change) == 0
        assert sum(num_run) == 3, change
    num_run.clear()
    os.utime(files[0], (1, 1))
    assert transcribe("--resume", "--start", "0.1") == 0
    assert sum(num_run) == 1


def test_skipping_leaves_what_somebody_wrote_there(
    transcribe: Callable[..., int], tmp_path: Path, num_run: list[int]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_text("corrected")
    assert transcribe("--skip-existing") == 0
    assert sum(num_run) == 2
    assert (tmp_path / "out" / "a.txt").read_text() == "corrected"
