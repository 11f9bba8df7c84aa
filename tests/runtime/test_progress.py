from __future__ import annotations

import sys

import pytest

from sewd_runtime.progress import show_progress


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
    assert list(show_progress(iter(range(total)), total=total)) == list(range(total))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (f"{total}/{total}" in captured.err) == shown
    assert captured.err.endswith("\r\033[K" if shown else "")


def test_the_bar_goes_when_the_work_is_broken_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    items = show_progress(range(20), total=20)
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert capsys.readouterr().err.endswith("\r\033[K")
