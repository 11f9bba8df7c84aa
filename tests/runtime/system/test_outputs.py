"""Laws of a folder of outputs: ours are replaced, the user's are not, and a kill leaves none that blocks."""

import os
import sys
from pathlib import Path

import pytest

from sewd_runtime.system import outputs
from sewd_runtime.system.outputs import OutputFolder


def test_every_file_that_was_written_here_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for text in ("one\n", "zwölf\n", "one\n"):
        OutputFolder(tmp_path).write(path, text)
        assert path.read_bytes() == text.encode()
    path.rename(tmp_path / "b.txt")
    OutputFolder(tmp_path).write(tmp_path / "b.txt", "two\n")


@pytest.mark.parametrize("mine", ["", "one", "one\r\n", "mine\n"])
def test_a_users_file_is_not(tmp_path: Path, mine: str) -> None:
    path = tmp_path / "a.txt"
    OutputFolder(tmp_path).write(tmp_path / "other.txt", "one\n")
    path.write_bytes(mine.encode())
    with pytest.raises(FileExistsError, match="was not written by sewd"):
        OutputFolder(tmp_path).write(path, "ours\n")
    assert path.read_bytes() == mine.encode()


def test_a_run_killed_before_or_after_it_wrote_a_file_does_not_block_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    for where, name in ((outputs, "append_line"), (outputs, "whole_file"), (Path, "replace")):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(where, name, kill)
            OutputFolder(tmp_path).write(path, "one\n")
        assert not path.exists()
    OutputFolder(tmp_path).write(path, "one\n")
    OutputFolder(tmp_path).write(path, "two\n")
    assert path.read_text() == "two\n"


@pytest.mark.skipif(sys.platform == "win32", reason="links and FIFOs")
def test_a_record_that_is_no_file_is_not_followed(tmp_path: Path) -> None:
    for make in (os.mkfifo, lambda path: Path(path).symlink_to(tmp_path / "elsewhere")):
        make(tmp_path / ".sewd-outputs")
        with pytest.raises(OSError, match=r"\.sewd-outputs"):
            OutputFolder(tmp_path).write(tmp_path / "a.txt", "one\n")
        assert not (tmp_path / "a.txt").exists()
        assert not (tmp_path / "elsewhere").exists()
        (tmp_path / ".sewd-outputs").unlink()
