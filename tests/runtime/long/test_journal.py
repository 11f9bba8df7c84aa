"""Laws: a journal gives back whole lines, whatever killed the writer, and to the same task only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sewd_runtime.errors import JournalError
from sewd_runtime.long.journal import Journal, Task
from sewd_runtime.long.steps import Step
from sewd_runtime.long.windows import Place
from sewd_runtime.text.transcript import Segment, Word

TASK = Task(
    audio_sha256="a" * 64,
    bundle_sha256="b" * 64,
    precision="fp32",
    provider="cpu",
    library="onnxruntime 1.32",
    options="Greedy() Segmentation()",
)
times = st.floats(0, 1e6)
words = st.builds(Word, text=st.text(), start_s=times, end_s=times, confidence=st.floats(0, 1))
segments = st.builds(
    Segment, text=st.text(), start_s=times, end_s=times, words=st.lists(words, max_size=3).map(tuple)
)
histories = st.lists(st.lists(segments, max_size=3).map(tuple), max_size=5).map(
    lambda found: [
        Step(segments=each, done=Place(region=place // 2, frame=place), num_samples=place)
        for place, each in enumerate(found, start=1)
    ]
)
in_a_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path: Path, steps: list[Step]) -> None:
    path.unlink(missing_ok=True)
    journal = Journal.start(path, TASK)
    for step in steps:
        journal.add(step)
    journal.close()


@in_a_folder
@given(steps=histories)
def test_what_was_written_comes_back(tmp_path: Path, steps: list[Step]) -> None:
    write(tmp_path / "a", steps)
    journal = Journal.resume(tmp_path / "a", TASK)
    assert journal.steps == steps
    journal.close()


@in_a_folder
@given(steps=histories, data=st.data())
def test_a_torn_line_is_cut_off_and_written_over(
    tmp_path: Path, steps: list[Step], data: st.DataObject
) -> None:
    path = tmp_path / "a"
    write(path, steps)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    journal = Journal.resume(path, TASK)
    kept = len(journal.steps)
    assert journal.steps == steps[:kept]
    for step in steps[kept:]:
        journal.add(step)
    journal.close()
    assert path.read_bytes() == content


def test_a_step_that_goes_no_further_is_not_written(tmp_path: Path) -> None:
    step = Step(segments=(), done=Place(region=5, frame=7), num_samples=9)
    write(tmp_path / "a", [step, replace(step, num_samples=20)])
    assert len((tmp_path / "a").read_bytes().splitlines()) == 2


def test_work_is_not_thrown_away_unasked(tmp_path: Path) -> None:
    write(tmp_path / "a", [])
    with pytest.raises(JournalError, match=r"a: was left by an interrupted run; continue it with --resume"):
        Journal.start(tmp_path / "a", TASK)


@pytest.mark.parametrize(
    "key", ["audio_sha256", "bundle_sha256", "precision", "provider", "library", "options"]
)
def test_another_task_is_refused_by_name(tmp_path: Path, key: str) -> None:
    write(tmp_path / "a", [])
    with pytest.raises(JournalError, match=f"{key} was .* and is other"):
        Journal.resume(tmp_path / "a", replace(TASK, **{key: "other"}))


def test_another_format_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a", [])
    with pytest.raises(JournalError, match="format_version was 1 and is 2"):
        Journal.resume(tmp_path / "a", replace(TASK, format_version=2))


@pytest.mark.parametrize(
    "line", [b"{}", b"nonsense", b"\xff", b'{"segments": [], "done": 3, "num_samples": 1}']
)
def test_a_damaged_line_is_told_by_its_number(tmp_path: Path, line: bytes) -> None:
    write(tmp_path / "a", [])
    with (tmp_path / "a").open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(JournalError, match=r"a, line 2: cannot be read: .*; delete the file"):
        Journal.resume(tmp_path / "a", TASK)
