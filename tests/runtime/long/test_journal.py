"""Laws: a journal gives back whole lines, whatever killed the writer, and to the same task only."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
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
texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]))  # as in a vocabulary
words = st.builds(Word, text=texts, start_s=times, end_s=times, confidence=st.floats(0, 1))
segments = st.builds(
    Segment, text=texts, start_s=times, end_s=times, words=st.lists(words, max_size=3).map(tuple)
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
    try:
        for step in steps:
            journal.add(step)
    finally:
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
    with pytest.raises(JournalError, match="format_version was 2 and is 3"):
        Journal.resume(tmp_path / "a", replace(TASK, format_version=3))


def seal(text: bytes, before: bytes) -> bytes:
    """Return a line with its seal; before: the line before it."""
    digest = hashlib.sha256(json.loads(before)["seal"].encode() + text).hexdigest().encode()
    return b'{"seal": "' + digest + b'", ' + text[1:]


@in_a_folder
@given(steps=histories.filter(len), data=st.data())
def test_a_changed_or_missing_line_is_noticed(tmp_path: Path, steps: list[Step], data: st.DataObject) -> None:
    path = tmp_path / "a"
    write(path, steps)
    lines = path.read_bytes().splitlines(keepends=True)
    if data.draw(st.booleans()):
        number = data.draw(st.integers(0, len(lines) - 1))
        place = data.draw(st.integers(0, len(lines[number]) - 2))
        letter = bytes([lines[number][place] ^ data.draw(st.integers(1, 255))])
        lines[number] = lines[number][:place] + letter + lines[number][place + 1 :]
    else:
        del lines[data.draw(st.integers(0, len(lines) - 2))]
    path.write_bytes(b"".join(lines))
    with pytest.raises(JournalError):
        Journal.resume(path, TASK)
    assert path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize("content", [b"my notes", b"my notes\n", b"{}\n", b"\n", b"\0" * 100])
def test_what_is_no_journal_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    for open_journal, complaint in ((Journal.start, "was left by"), (Journal.resume, "is no journal")):
        with pytest.raises(JournalError, match=complaint):
            open_journal(path, TASK)
        assert path.read_bytes() == content


@pytest.mark.skipif(sys.platform == "win32", reason="links and FIFOs")
@pytest.mark.parametrize("make", [lambda path: path.symlink_to("other"), os.mkfifo, Path.mkdir])
def test_a_link_or_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a")
    for open_journal in (Journal.start, Journal.resume):
        with pytest.raises(JournalError, match="cannot be used as a journal"):
            open_journal(tmp_path / "a", TASK)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_another_writer_is_refused(tmp_path: Path) -> None:
    journal = Journal.start(tmp_path / "a", TASK)
    for open_journal in (Journal.start, Journal.resume):
        with pytest.raises(JournalError, match="another run is writing it"):
            open_journal(tmp_path / "a", TASK)
    journal.close()
    Journal.resume(tmp_path / "a", TASK).close()


def test_only_its_own_file_is_deleted(tmp_path: Path) -> None:
    journal = Journal.start(tmp_path / "a", TASK)
    journal.close()
    (tmp_path / "b").write_text("another's")
    (tmp_path / "b").replace(tmp_path / "a")
    journal.delete()
    assert (tmp_path / "a").read_text() == "another's"


STEPS = [Step(segments=(), done=Place(region=5, frame=frame), num_samples=9) for frame in range(3)]


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the size of files")
@pytest.mark.parametrize("room", [0, 10, 400, 600, 800])
def test_a_full_disk_leaves_whole_lines_that_can_be_resumed(tmp_path: Path, room: int) -> None:
    import resource

    path = tmp_path / "a"
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write(path, STEPS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    if room < 400:
        assert not path.exists()
    else:
        assert path.read_bytes().endswith(b"}\n")
        journal = Journal.resume(path, TASK)
        assert journal.steps == STEPS[: len(journal.steps)]
        journal.close()


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_first_line_that_had_no_room_blocks_nothing(tmp_path: Path, share: float) -> None:
    path = tmp_path / "a"
    write(path, STEPS[:1])
    content = path.read_bytes()
    first = content[: content.index(b"\n") + 1]
    path.write_bytes(first[: int(share * len(first))])
    journal = Journal.start(path, TASK)
    journal.add(STEPS[0])
    journal.close()
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b'{"segments": [], "done": 3, "num_samples": 1}',
        b'{"segments": [], "done": {"region": 0, "frame": 1}, "num_samples": 1' + b"0" * 400 + b"}",
        b'{"segments": "\xff"}',
    ],
)
def test_a_damaged_line_is_told_by_its_number(tmp_path: Path, line: bytes) -> None:
    write(tmp_path / "a", [])
    with (tmp_path / "a").open("r+b") as file:
        before = file.read()
        file.write(seal(line, before) + b"\n")
    with pytest.raises(JournalError, match=r"a, line 2: cannot be read: .*; delete the file"):
        Journal.resume(tmp_path / "a", TASK)
