"""How ``sewd`` behaves as a process: closed standard streams, and SIGTERM."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sewd_runtime.cli import main
from sewd_runtime.system.signals import sigterm_as_interrupt

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
CLIP = sorted((Path(__file__).parents[3] / "export/sewd_export/speech").glob("*.flac"))[0]
MODEL = ["--threads", "1"]


def run_closed(redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sewd_runtime", *arguments]
    script = f'exec "$@" {redirection}'
    return subprocess.run(["sh", "-c", script, "sh", *command], capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize("command", ["transcribe", "stream", "align"])
@pytest.mark.parametrize(
    ("redirection", "file", "complaint"),
    [(">&-", str(CLIP), "standard output is closed"), ("<&-", "-", "-: standard input is closed")],
)
def test_a_closed_stream_is_one_line_and_an_exit_code(
    command: str, redirection: str, file: str, complaint: str
) -> None:
    text = ["--text", "six"] if command == "align" else []
    done = run_closed(redirection, command, *MODEL, *text, file)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("sewd: ") and done.stderr.endswith(f"{complaint}\n")
    assert done.stdout == ""


def test_raw_samples_from_a_closed_input() -> None:
    done = run_closed("<&-", "stream", *MODEL, "--rate", "16000", "-")
    assert (done.returncode, done.stderr) == (1, "sewd: -: standard input is closed\n")


def test_a_report_to_a_closed_output() -> None:
    done = run_closed(">&-", "inspect")
    assert (done.returncode, done.stderr) == (1, "sewd: standard output is closed\n")


def test_messages_for_a_closed_error_output_go_nowhere() -> None:
    done = run_closed("2>&-", "transcribe", *MODEL, "absent.wav")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_not_needed_may_be_closed(closed: str, tmp_path: Path) -> None:
    assert run_closed(closed, "transcribe", *MODEL, "-o", str(tmp_path), str(CLIP)).returncode == 0
    written = tmp_path / f"{CLIP.stem}.txt"
    assert len(written.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["lm", "build", "words.txt", "-o", "words.txt"],
        ["lm", "build", "words.txt", "-o", "link.arpa"],
        ["transcribe", "words.wav", "--lexicon", "words.txt", "-o", "."],
        ["transcribe", "words.txt", "-o", "."],
        ["align", "words.wav", "--text-file", "words.txt", "--format", "text", "-o", "."],
        ["bench", "bundle", "-o", "bundle/bundle.json"],
        ["transcribe", "bundle.wav", "--model", "bundle", "--json", "-o", "bundle"],
    ],
)
def test_no_output_replaces_what_is_read(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("six two\n")
    (tmp_path / "link.arpa").symlink_to("words.txt")
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/bundle.json").write_text("{}")
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "the output would replace a file that is read" in capsys.readouterr().err
    assert (tmp_path / "words.txt").read_text() == "six two\n"
    assert (tmp_path / "bundle/bundle.json").read_text() == "{}"


def test_sigterm_ends_like_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    from sewd_runtime.commands import doctor

    def terminated(_: object) -> int:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("not ended")

    monkeypatch.setattr(doctor, "run", terminated)
    assert main(["doctor"]) == 130
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None])
def test_a_handler_of_sigterm_stays(handler: object) -> None:
    before = signal.signal(signal.SIGTERM, handler)  # type: ignore[arg-type]
    try:
        with sigterm_as_interrupt():
            assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)
