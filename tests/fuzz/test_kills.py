"""Law: a kill at any moment loses nothing, and the harness that says so sees what is lost."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from fuzz import kills


def test_killed_transcriptions_are_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    assert kills.main(["--commands", "transcribe", "--kills", "3", "--minutes", "3"]) == 0
    assert capsys.readouterr().out.startswith("transcribe: 3 kills, ")


@pytest.mark.parametrize(
    ("file", "loss"), [("speech.json", "differs from that of"), ("speech.partial.jsonl", "is left")]
)
def test_a_loss_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, loss: str) -> None:
    output = tmp_path / "output"
    options = argparse.Namespace(
        kills=1, seed=0, speech=kills.ROOT / "export/sewd_export/speech", minutes=0.1
    )

    def run_whole(command: Sequence[str]) -> float:
        output.mkdir()
        (output / "speech.json").write_text("a word")
        return 1.0

    def run_killed(command: Sequence[str], delay_s: float) -> bool:
        run_whole(command)
        (output / file).write_text("a word twice")
        return False

    monkeypatch.setattr(kills, "run_whole", run_whole)
    monkeypatch.setattr(kills, "run_killed", run_killed)
    with pytest.raises(kills.LostError, match=loss):
        kills.kill_transcriptions(tmp_path, options)


def test_a_run_that_fails_is_seen() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no room')"]
    with pytest.raises(kills.LostError, match="fails: no room"):
        kills.run_whole(command)
    with pytest.raises(kills.LostError, match="fails: no room"):
        kills.run_killed(command, 60)


def test_killed_corpora_are_completed(capsys: pytest.CaptureFixture[str]) -> None:
    assert kills.main(["--commands", "corpus", "--kills", "3"]) == 0
    assert capsys.readouterr().out.startswith("corpus: 3 kills, ")


def test_a_doubled_shard_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "output"
    options = argparse.Namespace(kills=1, seed=0, speech=kills.ROOT / "export/sewd_export/speech")

    def run_whole(command: Sequence[str]) -> float:
        output.mkdir(exist_ok=True)
        (output / "000000-1.jsonl").write_text("{}")
        return 1.0

    def run_killed(command: Sequence[str], delay_s: float) -> bool:
        run_whole(command)
        (output / "000000-2.jsonl").write_text("{}")
        return True

    monkeypatch.setattr(kills, "run_whole", run_whole)
    monkeypatch.setattr(kills, "run_killed", run_killed)
    with pytest.raises(kills.LostError, match="differs from that"):
        kills.kill_corpora(tmp_path, options)
