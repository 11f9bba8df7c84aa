"""Laws of ``--workers``: as many as there are, text, order and failures are the same."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sewd_runtime.cli import main
from sewd_runtime.commands import _files, transcribe
from sewd_runtime.recognizer import Recognizer

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Short recordings of many lengths, a long one and one that is none."""
    folder, random = tmp_path_factory.mktemp("workers"), np.random.default_rng(0)
    for number, seconds in enumerate((0.5, 3.1, 0.01, 0.5, 65.0, 2.9, 1.7, 0.6)):
        soundfile.write(folder / f"{number}.wav", random.normal(0, 0.1, int(seconds * 16_000)), 16_000)
    (folder / "4a.wav").write_text("no audio")
    return sorted(map(str, folder.iterdir()))


def test_workers_change_neither_text_nor_order_nor_failures(
    tiny_bundle: Path, files: list[str], capsys: Capture
) -> None:
    shown = []
    for workers in ("1", "3"):
        options = ["--workers", workers, "--threads", "1", "--json"]
        assert main(["transcribe", "--model", str(tiny_bundle), *options, *files]) == 1
        shown.append(capsys.readouterr())
    assert shown[0] == shown[1]
    assert [json.loads(line)["file"] for line in shown[0].out.splitlines()] == [
        name for name in files if "4a" not in name
    ]
    assert shown[0].err.count("\n") == 1


def test_a_batch_in_python_is_the_same_with_workers(tiny_bundle: Path, files: list[str]) -> None:
    one, three = (Recognizer.load(tiny_bundle, threads=1, workers=workers) for workers in (1, 3))
    expected = one.transcribe_batch(files, errors="return")
    found = three.transcribe_batch(files, errors="return")
    assert list(map(str, found)) == list(map(str, expected))


@pytest.mark.parametrize(
    ("flags", "lengths_s", "workers", "threads"),
    [
        ([], [1] * 9, 8, None),
        ([], [1, 1, 1], 3, None),
        ([], [1], 1, None),
        ([], [50], 1, None),
        ([], [100], 5, None),
        (["--threads", "4"], [1] * 9, 2, 4),
        (["--workers", "3"], [1], 3, None),
        (["--provider", "openvino"], [1] * 9, 1, None),
    ],
)
def test_the_default_is_what_there_is_work_for(
    flags: list[str],
    lengths_s: list[float],
    workers: int,
    threads: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_files, "available_cores", lambda: 8)
    monkeypatch.setattr(_files, "stated_duration_s", lambda path: float(path.stem))
    parser = argparse.ArgumentParser()
    transcribe.add_arguments(parser)
    options = parser.parse_args([*flags, *(f"{length}.wav" for length in lengths_s)])
    _files.choose_workers(options)
    assert (options.workers, options.threads) == (workers, threads)


def test_several_workers_are_for_the_cpu(misuse: Callable[..., str]) -> None:
    complaint = misuse("transcribe", "--provider", "openvino", "--workers", "2", "a.wav")
    assert "--workers is for --provider cpu; openvino runs one batch at a time" in complaint
