"""Laws: the harness sees every kind of fault, and what was found once stays mended."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz.__main__ import KINDS, main
from fuzz.mutants import CASE, FIFO, FOLDER, ROOT, Mutant
from fuzz.worker import (
    ACCEPTED,
    CRASHED,
    FAULTS,
    HUNG,
    MEMORY,
    REFUSED,
    WRONG,
    KindMissingError,
    Limits,
    Worker,
)

CORPUS = ROOT / "fuzz" / "corpus"


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent), *sys.path])  # a worker has the same path
    worker = Worker("planted", tmp_path / "mutant", Limits(cpu_s=1, watchdog_s=4))
    yield worker
    worker.close()


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("none", ACCEPTED),
        ("named", REFUSED),
        ("wrong", WRONG),
        ("crash", CRASHED),
        ("hang", HUNG),
        ("slow", HUNG),
        ("memory", MEMORY),
    ],
)
def test_every_fault_is_seen_and_the_next_mutant_runs(
    planted: Worker, tmp_path: Path, fault: str, outcome: str
) -> None:
    mutant = Mutant(files={"fault": fault.encode()}, note=fault)
    mutant.save(tmp_path / "case", outcome)
    result = planted.run(tmp_path / "case")
    assert result.outcome == outcome
    assert result.mutant == mutant
    assert planted.run("1").outcome == ACCEPTED


@pytest.mark.parametrize(("fault", "outcome"), [("wrong", CRASHED), ("crash", CRASHED), ("hang", HUNG)])
def test_a_mutant_that_cannot_be_made_is_a_fault(
    planted: Worker, monkeypatch: pytest.MonkeyPatch, fault: str, outcome: str
) -> None:
    monkeypatch.setenv("PLANTED_IN_MAKE", fault)
    assert planted.run("1").outcome == outcome
    monkeypatch.delenv("PLANTED_IN_MAKE")
    assert planted.run("1").outcome == ACCEPTED


def test_a_worker_that_cannot_start_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(process: object) -> None:
        raise OSError("no more processes")

    worker = Worker("planted", tmp_path / "mutant", Limits())
    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", refuse)
    with pytest.raises(OSError, match="no more processes"):
        worker.run("1")
    worker.close()


def test_special_files_are_written_and_saved(tmp_path: Path) -> None:
    specials = {"link": "../outside", "pipe": FIFO, "folder": FOLDER}
    mutant = Mutant(files={"file": b"1", "link": b"2"}, note="special", specials=specials)
    mutant.save(tmp_path / "case", REFUSED)
    loaded = Mutant.load(tmp_path / "case")
    assert loaded == Mutant(files={"file": b"1", "link": b"2"}, note="special", specials=specials)
    for _ in range(2):  # the second time over the first
        loaded.write(tmp_path / "written")
    assert (tmp_path / "written" / "link").readlink() == Path("../outside")
    assert (tmp_path / "written" / "pipe").is_fifo()
    assert (tmp_path / "written" / "folder").is_dir()


def test_a_mutant_depends_on_its_seed_alone(planted: Worker) -> None:
    first, second = planted.run("0 planted 1").mutant, planted.run("0 planted 2").mutant
    assert first != second
    assert planted.run("0 planted 1").mutant == first


@pytest.mark.parametrize("outcome", [ACCEPTED, REFUSED, *FAULTS])
def test_a_fault_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], outcome: str
) -> None:
    monkeypatch.setattr("fuzz.__main__.run_kind", lambda *arguments: Counter({outcome: 1}))
    assert main(["--kinds", "lists"]) == (outcome in FAULTS)
    assert "| lists | 1 |" in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_the_corpus_has_its_recorded_outcomes(kind: str, tmp_path: Path) -> None:
    cases = sorted((CORPUS / kind).glob("*/"))
    worker = Worker(f"fuzz.{kind}", tmp_path / "mutant", Limits())
    try:
        found = {case.name: worker.run(case) for case in cases}
    except KindMissingError as missing:
        pytest.skip(str(missing))
    finally:
        worker.close()
    assert {
        name: f"{result.outcome} {result.detail.partition(':')[0]}".strip() for name, result in found.items()
    } == {case.name: json.loads((case / CASE).read_text())["outcome"] for case in cases}
