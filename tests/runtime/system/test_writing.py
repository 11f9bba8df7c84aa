"""Laws of writing files."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sewd_runtime.system.writing import whole_file


def write(path: Path, content: str) -> None:
    with whole_file(path) as file:
        file.write(content)


def test_a_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    write(path, "first\n")
    with pytest.raises(UnicodeEncodeError):
        write(path, "second \ud800\n")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(path, "third\n")
    assert path.read_bytes() == b"first\n"
    assert list(tmp_path.iterdir()) == [path]


def test_the_name_that_was_asked_for_is_the_one_in_an_error(tmp_path: Path) -> None:
    path = tmp_path / "nothing" / "a.txt"
    with pytest.raises(FileNotFoundError) as caught:
        write(path, "")
    assert caught.value.filename == str(path)


def test_no_file_of_the_users_is_in_the_way(tmp_path: Path) -> None:
    for name in ("a.txt.part", "a.part", ".a.txt.partial"):
        (tmp_path / name).write_text("mine")
    write(tmp_path / "a.txt", "ours\n")
    assert {path.read_text() for path in tmp_path.iterdir() if path.name != "a.txt"} == {"mine"}
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="links and FIFOs")
@pytest.mark.parametrize("make", [lambda path: path.symlink_to("other"), os.mkfifo, Path.mkdir])
def test_what_is_no_file_is_neither_followed_nor_replaced(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (tmp_path / "other").write_text("mine")
    make(tmp_path / "a.txt")
    before = (tmp_path / "a.txt").lstat()
    with pytest.raises(FileExistsError, match="not replaced"):
        write(tmp_path / "a.txt", "ours\n")
    assert os.path.samestat((tmp_path / "a.txt").lstat(), before)
    assert (tmp_path / "other").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX")
def test_a_private_file_stays_private(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "")
    (tmp_path / "a.txt").chmod(0o600)
    write(tmp_path / "a.txt", "ours\n")
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX")
def test_a_file_has_the_mode_of_any_other(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "a.txt", "")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640
