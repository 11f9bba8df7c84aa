from __future__ import annotations

import sys

import pytest

from sewd_runtime.system.progress import show_position, show_progress


@pytest.mark.parametrize(
    ("total", "terminal", "shown"), [(12, True, True), (12, False, False), (3, True, False)]
)
def test_a_bar_on_a_terminal_for_a_long_list(
    total: int,
    terminal: bool,
    shown: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert list(show_progress(iter(range(total)), total=total)) == list(range(total))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (f"{total}/{total}" in captured.err) == shown
    assert captured.err.endswith("\r\033[K" if shown else "")


def test_the_bar_says_how_fast_and_how_much_longer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    seconds = iter(range(100, 400, 10))
    list(show_progress(range(20), total=20, now_s=lambda: float(next(seconds))))
    shown = capsys.readouterr().err
    assert " 5/20, 0.1 a second, 0:02:30 left" in shown
    assert " 20/20, 0.1 a second, 0:00:00 left" in shown


def test_the_bar_is_cleared_when_the_work_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    items = show_progress(range(20), total=20)
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert capsys.readouterr().err.endswith("\r\033[K")


@pytest.mark.parametrize(
    ("duration_s", "shown"),
    [(7200.0, "50% 1:00:00 of 2:00:00, 40x real time, 0:01:30 left"), (None, "\033[K1:00:00, 40x real time")],
)
def test_the_position_in_a_long_recording_is_shown(
    duration_s: float | None, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    seconds = iter([100.0, 130.0, 160.0])
    items = show_position(
        [1800.0, 3600.0],
        position_s=lambda at_s: at_s,
        duration_s=duration_s,
        begin_s=1200.0,  # done in an earlier run, which does not count for the speed
        now_s=lambda: next(seconds),
    )
    assert list(items) == [1800.0, 3600.0]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert shown in captured.err
    assert captured.err.endswith("\r\033[K")


def test_a_pipe_or_a_file_gets_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(show_position([1.0], position_s=lambda at_s: at_s, duration_s=2.0)) == [1.0]
    assert capsys.readouterr().err == ""


def test_a_dumb_terminal_gets_no_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    assert list(show_progress(range(20), total=20)) == list(range(20))
    assert capsys.readouterr().err == ""
