"""Laws of ``sewd corpus``: a row for each recording, with the text of ``sewd transcribe``, come what may."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sewd_runtime.long.segmentation import Segmentation
from sewd_runtime.recognizer import Recognizer
from sewd_serve.corpus import output as output_module
from sewd_serve.corpus.output import Counts
from sewd_serve.corpus.summary import Summary
from tests.corpus.conftest import Corpus, contents, rows

Capture = pytest.CaptureFixture[str]


def test_each_recording_has_a_row_with_its_text_or_its_error(corpus: Corpus, unbroken: Path) -> None:
    listed = [json.loads(line) for line in corpus.manifest.read_text().splitlines()]
    made = rows(unbroken)
    assert [row["path"] for row in made] == [row["path"] for row in listed]
    assert [row["id"] for row in made] == [row.get("id", row["path"]) for row in listed]
    failed = {row["path"]: row["error"] for row in made if row["error"]}
    assert set(failed) == {"no.wav", "gone.wav"}
    assert failed["gone.wav"] == "No such file or directory"
    assert str(corpus.manifest.parent) not in "".join(failed.values())
    recognizer = Recognizer.load(corpus.model, threads=1)
    for row in made:
        if not row["error"] and row["start_s"] is None:
            expected = recognizer.transcribe(corpus.manifest.parent / row["path"])
            assert (row["text"], len(row["words"])) == (expected.text, len(expected.words)), row["id"]
            assert row["duration_s"] == pytest.approx(expected.duration_s, abs=1e-4)


def test_long_recordings_are_split_as_by_transcribe(corpus: Corpus, tmp_path: Path) -> None:
    assert corpus.run(tmp_path, "--vad") == 1  # all of them are
    expected = Recognizer.load(corpus.model, threads=1).transcribe(
        corpus.manifest.parent / "4.wav", segmentation=Segmentation(whole_s=0)
    )
    row = next(row for row in rows(tmp_path) if row["id"] == "r4")
    assert (row["text"], row["duration_s"]) == (expected.text, 22)


def test_a_part_has_the_times_of_its_recording(unbroken: Path) -> None:
    part = next(row for row in rows(unbroken) if row["id"] == "part20")
    assert part["duration_s"] == pytest.approx(1.5)
    assert part["words"] and all(20 <= word["start_s"] < word["end_s"] <= 21.5 for word in part["words"])


def test_the_summary_adds_up(corpus: Corpus, unbroken: Path, tmp_path: Path, capsys: Capture) -> None:
    made = rows(unbroken)
    summary = json.loads((unbroken / "summary.json").read_text())
    assert summary["recordings"] == len(made) and summary["failed"] == 2
    assert summary["audio_s"] == pytest.approx(sum(row["duration_s"] or 0 for row in made))
    assert summary["shards"] == len(list(unbroken.glob("*.jsonl"))) > 2
    compared = [row for row in made if row["wer"] is not None]
    wrong = sum(row["wer"] * len(row["reference"].split()) for row in compared)
    assert summary["wer"] == pytest.approx(wrong / sum(len(row["reference"].split()) for row in compared))
    # Nothing is left to do, and the figures are the same.
    again = tmp_path / "again"
    shutil.copytree(unbroken, again)
    capsys.readouterr()
    assert corpus.run(again) == 1
    assert f"shards done already: {summary['shards']} of {summary['shards']}" in capsys.readouterr().err
    repeated = json.loads((again / "summary.json").read_text())
    assert {**repeated, "run": None} == {**summary, "run": None}
    assert repeated["run"]["shards"] == 0


def test_neither_workers_nor_what_is_done_already_change_a_byte(
    corpus: Corpus, unbroken: Path, tmp_path: Path
) -> None:
    expected = contents(unbroken)
    for name in sorted(path.name for path in unbroken.glob("*.jsonl"))[:2]:
        (tmp_path / name).write_bytes(expected[name])
        about = name.replace("jsonl", "json")
        (tmp_path / about).write_bytes(expected[about])
    assert corpus.run(tmp_path, "--workers", "3") == 1
    assert contents(tmp_path) == expected


def test_parquet_has_the_same_rows(corpus: Corpus, unbroken: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert corpus.run(tmp_path, "--format", "parquet") == 1
    tables = [parquet.read_table(path) for path in sorted(tmp_path.glob("*.parquet"))]
    assert [row for table in tables for row in table.to_pylist()] == rows(unbroken)
    about = json.loads(tables[0].schema.metadata[b"sewd"])
    assert about["bundle_sha256"] in about["task"] and about["versions"]["numpy"]


def test_a_folder_of_another_corpus_is_refused(
    corpus: Corpus, unbroken: Path, tmp_path: Path, capsys: Capture
) -> None:
    shutil.copytree(unbroken, tmp_path / "output")
    for options in (["--precision", "int8"], ["--vad"], ["--beam-width", "2"], ["--format", "parquet"]):
        if options[-1] == "parquet":
            pytest.importorskip("pyarrow")
        assert corpus.run(tmp_path / "output", *options) == 3
        assert "of another manifest, bundle or other options" in capsys.readouterr().err
    assert contents(tmp_path / "output") == contents(unbroken)


def test_recordings_at_addresses_are_read(corpus: Corpus, tmp_path: Path, capsys: Capture) -> None:
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/bucket/a.wav", (corpus.manifest.parent / "1.wav").read_bytes())
    manifest = tmp_path / "list.tsv"
    manifest.write_text("memory://bucket/a.wav\nmemory://bucket/b.wav\n")
    there = Corpus(manifest=manifest, model=corpus.model)
    assert there.run(tmp_path / "output") == 1
    read, missing = rows(tmp_path / "output")
    assert read["text"] == Recognizer.load(corpus.model).transcribe(corpus.manifest.parent / "1.wav").text
    assert missing["text"] is None and "b.wav" in missing["error"]
    manifest.write_text("nowhere://bucket/a.wav\n")
    assert there.run(tmp_path / "other") == 3
    assert "nowhere:// cannot be read" in capsys.readouterr().err


def test_one_run_at_a_time_writes_to_a_folder(corpus: Corpus, tmp_path: Path, capsys: Capture) -> None:
    from sewd_serve.corpus.planning import locked

    with locked(tmp_path):
        assert corpus.run(tmp_path) == 3
    assert "another run is writing to it" in capsys.readouterr().err


def test_killed_runs_lose_and_double_nothing(corpus: Corpus, unbroken: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    command = [sys.executable, "-m", "sewd_runtime", *corpus.arguments(output)]
    for wanted in (1, 3):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                deadline_s = time.monotonic() + 60
                while len(list(output.glob("*.jsonl"))) < wanted and time.monotonic() < deadline_s:
                    time.sleep(0.005)
            finally:
                process.kill()
    (output / ".sewd-0123.part").write_text("half of a ro")
    assert corpus.run(output) == 1
    assert contents(output) == contents(unbroken)


def test_a_full_disk_stops_the_run_and_the_next_one_completes_it(
    corpus: Corpus, unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    write, shards = output_module._write_json_lines, []

    def fill_disk(file: Any, *more: Any) -> None:
        shards.append(file)
        if len(shards) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(file, *more)

    with monkeypatch.context() as patched:
        patched.setattr(output_module, "_write_json_lines", fill_disk)
        assert corpus.run(tmp_path) == 3
    assert "No space left" in capsys.readouterr().err
    assert len(list(tmp_path.glob("*.jsonl"))) == 2 and not list(tmp_path.glob("*.part"))
    assert corpus.run(tmp_path) == 1
    assert contents(tmp_path) == contents(unbroken)


def test_a_recording_that_was_away_is_done_when_it_is_back(
    corpus: Corpus, unbroken: Path, tmp_path: Path
) -> None:
    clip = corpus.manifest.parent / "6.wav"
    away = clip.rename(tmp_path / "away.wav")
    try:
        assert corpus.run(tmp_path / "output") == 1
    finally:
        away.rename(clip)
    assert next(row for row in rows(tmp_path / "output") if row["id"] == "r6")["error"]
    assert corpus.run(tmp_path / "output", "--retry-failed") == 1
    assert contents(tmp_path / "output") == contents(unbroken)


def test_ctrl_c_ends_a_run_and_keeps_its_shards(corpus: Corpus, unbroken: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sewd_runtime", *corpus.arguments(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline_s = time.monotonic() + 60
            while not list(tmp_path.glob("*.jsonl")) and time.monotonic() < deadline_s:
                time.sleep(0.005)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode in (130, 1) and "Traceback" not in errors
    assert contents(tmp_path).items() <= contents(unbroken).items()


@pytest.mark.parametrize("count", [1, 2])
def test_one_shard_is_not_several(count: int) -> None:
    summary = Summary(shards=count, counts=Counts(), shards_run=count, audio_run_s=4.0, seconds=1.0)
    rows = dict(line.split(maxsplit=1) for line in summary.as_table().replace("this run", "run").splitlines())
    shards = "1 shard" if count == 1 else "2 shards"
    assert rows["recordings"] == f"0 in {shards}"
    assert rows["run"].startswith(f"{shards}, ")
