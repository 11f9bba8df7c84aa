"""``sewd stream``: what it writes in a pipe, as JSON and on a terminal, and how it ends."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
import types
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sewd_runtime import Partial, Word, load
from sewd_runtime.audio.microphone import open_microphone
from sewd_runtime.cli import main
from sewd_runtime.commands import _partials
from sewd_runtime.commands._partials import InPlace
from sewd_runtime.errors import MicrophoneError, MissingPackageError

Capture = pytest.CaptureFixture[str]
Misuse = Callable[..., str]
TERMINAL = {"COLUMNS": "200", "TERM": "xterm", "NO_COLOR": ""}
COMMAND = [sys.executable, "-m", "sewd_runtime.cli", "stream", "--threads", "1"]


@pytest.fixture(scope="module")
def clip() -> Path:
    return sorted((Path(__file__).parents[3] / "export/sewd_export/speech").glob("*.flac"))[0]


@pytest.fixture(scope="module")
def text(clip: Path) -> str:
    return str(load(threads=1).transcribe(clip).text)


def word(text: str) -> Word:
    return Word(text=text, start_s=0.0, end_s=0.1, confidence=1.0)


def partial(committed: str, pending: str = "") -> Partial:
    return Partial(committed=tuple(map(word, committed.split())), pending=tuple(map(word, pending.split())))


def stream(*arguments: str) -> int:
    return main(["stream", "--threads", "1", *arguments])


def test_a_pipe_gets_what_is_final_in_lines(clip: Path, text: str, capsys: Capture) -> None:
    assert stream(str(clip)) == 0
    captured = capsys.readouterr()
    assert captured.out.split() == text.split()
    assert captured.out.count("\n") > 1
    assert captured.err == ""


def test_json_is_an_object_a_change(clip: Path, text: str, capsys: Capture) -> None:
    assert stream(str(clip), "--json", "--chunk", "0.3", "--right-context", "0.8") == 0
    changes = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    committed = [word for change in changes for word in change["committed"]]
    assert [word["text"] for word in committed] == text.split()
    assert all(list(word) == ["text", "start_s", "end_s", "confidence"] for word in committed)
    assert all(word["start_s"] < word["end_s"] for word in committed)
    assert any(change["pending"] for change in changes)
    assert changes[-1]["pending"] == ""
    for earlier, later in pairwise(changes):
        assert later["committed"] or later["pending"] != earlier["pending"]


def test_raw_samples_on_stdin(clip: Path, text: str) -> None:
    samples, rate_hz = soundfile.read(clip, dtype="int16")
    done = subprocess.run(
        [*COMMAND, "--rate", str(rate_hz), "-"],
        input=samples.astype("<i2").tobytes() + b"\x01",  # cut in the middle of a sample
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().split() == text.split()


def test_a_file_on_stdin(clip: Path, text: str) -> None:
    with clip.open("rb") as file:
        done = subprocess.run([*COMMAND, "-"], stdin=file, capture_output=True, check=True)
    assert done.stdout.decode().split() == text.split()


def test_words_of_a_live_wav_are_written_while_it_is_spoken(clip: Path, text: str) -> None:
    samples, rate_hz = soundfile.read(clip, dtype="int16")
    header = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 2**32 - 1, b"WAVE", b"fmt ", 16, 1, 1, rate_hz, 0, 2, 16)
    with subprocess.Popen([*COMMAND, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write(
            header + struct.pack("<4sI", b"data", 2**32 - 1) + samples.astype("<i2").tobytes()
        )
        running.stdin.flush()
        first = running.stdout.readline()  # the pipe is still open
        out, _ = running.communicate()
    assert running.returncode == 0
    assert (first + out).decode().split() == text.split()


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_a_terminal_shows_one_line_that_is_redrawn(clip: Path, text: str) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [*COMMAND, "--chunk", "0.3", str(clip)]
    with subprocess.Popen(command, stdout=theirs, env={**os.environ, **TERMINAL}) as running:
        os.close(theirs)
        shown = _read_all(ours)
    assert running.returncode == 0
    drawings = shown.split("\r\x1b[K")
    assert drawings[0] == ""
    assert drawings[-1] == f"{text}\r\n"
    assert shown.count("\n") == 1
    committed = [drawing.partition("\x1b[2m")[0].rstrip() for drawing in drawings[1:]]
    for earlier, later in pairwise(committed):
        assert later.startswith(earlier)
    assert any(re.search(r"\x1b\[2m[A-Z ]+\x1b\[0m$", drawing) for drawing in drawings)


def _read_all(terminal: int) -> str:
    content = b""
    while True:
        try:
            block = os.read(terminal, 4096)
        except OSError:  # how a pseudo-terminal on Linux says that nobody writes any more
            block = b""
        if not block:
            os.close(terminal)
            return content.decode()
        content += block


@pytest.mark.parametrize(("no_color", "dim", "plain"), [("", "\033[2m", "\033[0m"), ("1", "", "")])
def test_words_that_do_not_fit_go_to_the_next_line(
    no_color: str, dim: str, plain: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(_partials.shutil, "get_terminal_size", lambda: os.terminal_size((10, 24)))
    show = InPlace()
    for said in (partial("", "AB"), partial("ABCD", "EFGHIJ"), partial("EFGHIJ"), partial("", "KLM")):
        show(said)
    show.close()
    clear = "\r\033[K"
    assert capsys.readouterr().out == (
        f"{clear} {dim}AB{plain}{clear}ABCD {dim}EFG…{plain}{clear}ABCD\n{clear}EFGHIJ"
        f"{clear}EFGHIJ {dim}K…{plain}{clear}EFGHIJ\n"
    )


def test_silence_draws_nothing(capsys: Capture) -> None:
    show = InPlace()
    show(partial(""))
    show.close()
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("is_wav", [False, True])
def test_an_interrupt_ends_the_wait_for_an_idle_pipe(
    clip: Path, text: str, number: signal.Signals, is_wav: bool
) -> None:
    samples, rate_hz = soundfile.read(clip, dtype="int16")
    raw, wav = samples.astype("<i2").tobytes(), io.BytesIO()
    soundfile.write(wav, samples, rate_hz, format="WAV")
    command = [*COMMAND, "-"] if is_wav else [*COMMAND, "--rate", str(rate_hz), "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write(wav.getvalue()[: len(raw)] if is_wav else raw)  # no end of the WAV
        running.stdin.flush()
        first = running.stdout.readline()
        time.sleep(1)
        running.send_signal(number)
        out = running.stdout.read()  # it ends while the pipe is open
        assert running.wait(20) == 130
    assert (first + out).decode().split() == text.split()


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ")
def test_an_interrupt_writes_the_text_so_far(clip: Path, text: str) -> None:
    samples, rate_hz = soundfile.read(clip, dtype="int16")
    command = [*COMMAND, "--rate", str(rate_hz), "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write(samples.tobytes())
        running.stdin.flush()
        first = running.stdout.readline()  # so it is in the middle of listening
        running.send_signal(signal.SIGINT)
        running.stdin.write(bytes(2))  # whatever block comes next
        out, _ = running.communicate()
    assert running.returncode == 130
    heard = (first + out).decode().split()
    assert heard[:-1] == text.split()[: len(heard) - 1]  # the last word may be cut


def test_realtime_waits(clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    from sewd_runtime.commands import stream as module

    waits: list[float] = []
    clock = types.SimpleNamespace(monotonic=lambda: sum(waits), sleep=waits.append)
    monkeypatch.setattr(module, "time", clock)
    assert stream("--realtime", str(clip)) == 0
    assert sum(waits) == pytest.approx(soundfile.info(clip).duration)
    assert max(waits) <= 0.1 + 1e-9


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--chunk", "0", "x.wav"],
        ["--chunk", "long", "x.wav"],
        ["--right-context", "-1", "x.wav"],
        ["--rate", "16000", "x.wav"],
        ["--microphone", "x.wav"],
    ],
)
def test_wrong_usage(arguments: list[str], misuse: Misuse) -> None:
    assert misuse("stream", *arguments).startswith("sewd stream: error: ")


def test_a_file_that_is_no_audio(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "notes.txt").write_text("not audio")
    for name in ("notes.txt", "absent.wav"):
        assert stream(str(tmp_path / name)) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith(f"sewd: {tmp_path / name}: ")
        assert captured.err.count("\n") == 1


def test_a_model_for_another_task(capsys: Capture) -> None:
    bundle = Path(__file__).parents[2] / "data/tiny-classifier"
    assert stream("--model", str(bundle), "x.wav") == 3
    assert "Recognizer needs ctc" in capsys.readouterr().err


class PortAudioError(Exception):
    pass


class FakeInput:
    """As sounddevice's InputStream: calls back with blocks, then somebody presses Ctrl-C."""

    def __init__(
        self, *, samplerate: int, blocksize: int, channels: int, dtype: str, callback: Callable[..., None]
    ) -> None:
        assert (channels, dtype) == (1, "float32")
        self.blocksize, self.callback, self.rate_hz = blocksize, callback, samplerate
        self.is_open = False

    samples = np.zeros(0, np.float32)
    closed = 0

    def __enter__(self) -> None:
        buffer = np.zeros((self.blocksize, 1), np.float32)  # used again and again, as PortAudio does
        for first in range(0, len(self.samples), self.blocksize):
            block = self.samples[first : first + self.blocksize]
            buffer[: len(block), 0] = block
            self.callback(buffer[: len(block)], len(block), None, None)
        signal.raise_signal(signal.SIGINT)

    def __exit__(self, *_: Any) -> None:
        FakeInput.closed += 1


@pytest.fixture
def sounddevice(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("sounddevice")
    module.PortAudioError = PortAudioError  # type: ignore[attr-defined]
    module.InputStream = FakeInput  # type: ignore[attr-defined]
    module.query_devices = lambda kind: {"name": "fake", "default_samplerate": 48_000.0}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


def test_a_microphone_runs_at_its_own_rate(
    sounddevice: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = np.arange(10_000, dtype=np.float32)
    monkeypatch.setattr(FakeInput, "samples", samples)
    monkeypatch.setattr(signal, "raise_signal", lambda _: None)
    rate_hz, blocks = open_microphone()
    closed = FakeInput.closed
    heard = np.concatenate([next(blocks) for _ in range(3)])
    np.testing.assert_array_equal(heard, samples)
    assert rate_hz == 48_000
    blocks.close()
    assert FakeInput.closed == closed + 1


def test_a_microphone_ends_with_ctrl_c_and_the_text_so_far(
    sounddevice: types.ModuleType, clip: Path, text: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    samples, rate_hz = soundfile.read(clip, dtype="float32")
    sounddevice.query_devices = lambda kind: {"name": "fake", "default_samplerate": rate_hz}  # type: ignore[attr-defined]
    monkeypatch.setattr(FakeInput, "samples", samples[: round(0.1 * rate_hz)])
    before = signal.getsignal(signal.SIGINT)
    assert stream("--microphone") == 0
    assert capsys.readouterr().err == ""
    assert signal.getsignal(signal.SIGINT) is before


def test_no_package_for_the_microphone(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingPackageError, match=r"sewd\[mic\]"):
        open_microphone()
    assert stream("--microphone") == 3
    assert capsys.readouterr().err.startswith("sewd: a microphone needs sounddevice")


def test_no_microphone(sounddevice: types.ModuleType, capsys: Capture) -> None:
    def nothing(kind: str) -> Any:
        raise PortAudioError("Error querying device -1")

    sounddevice.query_devices = nothing  # type: ignore[attr-defined]
    with pytest.raises(MicrophoneError, match="no microphone: Error querying device -1"):
        open_microphone()
    assert stream("--microphone") == 3
    assert capsys.readouterr().err.startswith("sewd: no microphone")


def test_a_microphone_that_cannot_be_opened(sounddevice: types.ModuleType) -> None:
    def busy(**_: Any) -> Any:
        raise PortAudioError("Device unavailable")

    sounddevice.InputStream = busy  # type: ignore[attr-defined]
    _, blocks = open_microphone()
    with pytest.raises(MicrophoneError, match="fake: cannot be opened: Device unavailable"):
        next(blocks)
