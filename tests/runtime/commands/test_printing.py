"""Laws: people's text never forges a line or sends codes to a terminal; JSON is JSON; files are UTF-8."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sewd_runtime.cli import main
from sewd_runtime.system.terminal import json_line, printable

Capture = pytest.CaptureFixture[str]

FORGED = "x\x1b[31m\ny.wav: FORGED\r\x9b2Jz\u2028\u202e.wav"
"""A file name with codes, line ends and a change of direction."""

ESCAPED = r"x\x1b[31m\ny.wav: FORGED\r\x9b2Jz\u2028\u202e.wav"

CYRILLIC = "".join(map(chr, range(0x430, 0x450)))


def write_noise(path: Path) -> str:
    import soundfile

    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000, format="WAV")
    return str(path)


@pytest.fixture
def forged(tmp_path: Path) -> str:
    if os.name == "nt":
        pytest.skip("Windows has no such names")
    return write_noise(tmp_path / FORGED)


def test_printable() -> None:
    assert printable(FORGED) == ESCAPED
    assert printable("\udcff\0\x7f") == r"\udcff\x00\x7f"
    for text in (
        "plain",
        "two  spaces",
        "naïve Ünï",
        "你好世界",
        "می‌خواهم",
        "क्‍ष",
        "\u3000\xa0",
        "👩‍👩‍👧",
        r"back\slash",
    ):
        assert printable(text) == text


@pytest.mark.parametrize("value", [{"file": FORGED + "\udcff"}, {"ü": ["你", 1.5, None, True]}])
def test_json_line_is_one_printable_line_of_the_same_value(value: object) -> None:
    line = json_line(value)
    assert json.loads(line) == value
    assert line == printable(line)


def test_json_has_null_for_what_is_no_number() -> None:
    assert json_line({"a": [float("nan"), (float("inf"),)], "b": -1.5}) == '{"a": [null, [null]], "b": -1.5}'


def test_a_line_a_file_stays_a_line(tiny_bundle: Path, forged: str, tmp_path: Path, capsys: Capture) -> None:
    other = write_noise(tmp_path / "other.wav")
    assert main(["transcribe", "--model", str(tiny_bundle), forged, other]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{tmp_path}/{ESCAPED}: ")
    assert second.startswith(f"{other}: ")


def test_json_has_the_name_itself(tiny_bundle: Path, forged: str, capsys: Capture) -> None:
    assert main(["transcribe", "--model", str(tiny_bundle), "--json", forged]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["file"] == forged
    assert line == printable(line)


def test_errors_stay_a_line(tiny_bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    missing = str(tmp_path / FORGED)
    assert main(["transcribe", "--model", str(tiny_bundle), missing]) == 1
    assert main(["transcribe", "--model", missing, missing]) == 3
    for line in capsys.readouterr().err.splitlines():
        assert line.startswith("sewd: ")
        assert line == printable(line)


def test_wrong_usage_stays_a_line(tiny_bundle: Path, tmp_path: Path, misuse: Callable[..., str]) -> None:
    names = str(tmp_path / "a" / FORGED), str(tmp_path / "b" / FORGED)
    complaint = misuse("transcribe", "--model", tiny_bundle, "-o", tmp_path, *names)
    assert complaint.startswith("sewd transcribe: error:")
    assert ESCAPED in complaint


@pytest.mark.parametrize("command", ["inspect", "doctor"])
def test_reports_escape_the_path(broken_bundle: Path, command: str, capsys: Capture) -> None:
    path = broken_bundle.rename(broken_bundle.with_name("evil\x1b[31m\nfiles      7, all right"))
    main([command, str(path)])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert not any(line.startswith("files      7, all right") for line in out.splitlines())


@pytest.fixture
def russian(broken_bundle: Path, rehash: Callable[[Path], None]) -> Path:
    """The tiny bundle with a vocabulary of Cyrillic letters."""
    path = broken_bundle / "vocab.json"
    tokens = json.loads(path.read_text())
    cyrillic = {chr(ord("A") + index): CYRILLIC[index] for index in range(26)}
    renamed = {cyrillic.get(token, token): token_id for token, token_id in tokens.items()}
    path.write_text(json.dumps(renamed))
    rehash(path)
    return broken_bundle


def run(*arguments: object, **environment: str) -> bytes:
    command = [sys.executable, "-m", "sewd_runtime", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, env={**os.environ, **environment}, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


@pytest.mark.parametrize("code_page", ["cp1252", "ascii"])
def test_output_is_utf8_in_any_code_page(russian: Path, tmp_path: Path, code_page: str) -> None:
    file = write_noise(tmp_path / "noise.wav")
    for name in ("text", "srt", "json"):
        arguments = ("transcribe", "--model", russian, "--format", name, file)
        here = run(*arguments, PYTHONIOENCODING=code_page, PYTHONUTF8="0")
        assert here == run(*arguments, PYTHONIOENCODING="utf-8")
        assert any(letter in CYRILLIC for letter in here.decode())
        if name == "json":
            json.loads(here)
    written = ("transcribe", "--model", russian, "--output", tmp_path / "out", file)
    run(*written, PYTHONIOENCODING=code_page, PYTHONUTF8="0", LC_ALL="C", PYTHONCOERCECLOCALE="0")
    text = (tmp_path / "out" / "noise.txt").read_text(encoding="utf-8")
    assert any(letter in CYRILLIC for letter in text)


@pytest.mark.parametrize("home", ["empty", "not writable"])
def test_nothing_is_written_and_nothing_reported(tiny_bundle: Path, tmp_path: Path, home: str) -> None:
    file, folder = write_noise(tmp_path / "noise.wav"), tmp_path / "home"
    folder.mkdir()
    where = str(folder) if home == "empty" else "/proc/self"
    if not Path(where).is_dir():
        pytest.skip("no /proc here")
    environment = {"HOME": where, "XDG_CACHE_HOME": "" if home == "empty" else where}
    run("transcribe", "--model", tiny_bundle, file, **environment)
    assert list(folder.rglob("*")) == []
