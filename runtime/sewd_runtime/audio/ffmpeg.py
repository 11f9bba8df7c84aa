"""The audio of containers by the program ffmpeg, where the user allowed it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

from numpy.typing import NDArray

from sewd_runtime.audio.pipes import read_pipe
from sewd_runtime.audio.regions import Region
from sewd_runtime.audio.rules import Rules
from sewd_runtime.errors import AudioDecodeError

STALL_S = 60.0
"""An ffmpeg that writes nothing for so long hangs, and is ended."""


def find_ffmpeg() -> str | None:
    """Return the path of the program, None if it is not on PATH."""
    return shutil.which("ffmpeg")


class FFmpegDecoder:
    """The blocks of a file's first audio stream. rate_hz, channels: of all of them.

    No shell, nothing from standard input, no protocol but files and pipes, the demuxer is named. Gaps within
    the audio are filled as PyAV's are; that it begins later than the video is not seen.
    """

    stated_s = None
    """The length in seconds that the container states is not asked for."""

    def __init__(self, file: BinaryIO, demuxer: str, rules: Rules, missing: str | None) -> None:
        self._rules, self._missing, self._has_stalled = rules, missing, False
        self._stack = ExitStack()
        with ExitStack() as stack:
            self._start(_path_of(file, stack), demuxer, stack)
            content, rate_hz = cast("tuple[Any, int | None]", read_pipe(self, rules))
            first = None if rate_hz is None else next(content, None)
            if first is None or rate_hz is None or not len(first):
                content.close()
                raise self._error()
            self.rate_hz, self.channels = rate_hz, first.shape[1]
            self._blocks = chain([first], content)
            self._stack = stack.pop_all()

    def __enter__(self) -> FFmpegDecoder:
        """Return itself; end the program at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[tuple[NDArray[Any], int]]:
        """Yield blocks ``(samples, channels)`` float32 and their rate, then report what is missing."""
        with self:
            for block in self._blocks:
                yield block, self.rate_hz
            reason = self._reason()
            if self._has_stalled or self._process.wait() != 0:
                self._missing = self._missing or f"ffmpeg stopped: {reason}"
            if self._missing is not None or reason:
                self._rules.report(self._missing or f"damaged: {reason}")

    def read(self, size: int) -> bytes:
        """Return what the program wrote, as soon as there is anything; end it if it hangs."""
        watch = threading.Timer(STALL_S, self._stop)
        watch.start()
        try:
            return bytes(self._process.stdout.read1(size))
        finally:
            watch.cancel()

    def _start(self, path: Path, demuxer: str, stack: ExitStack) -> None:
        program = find_ffmpeg()
        if program is None:
            raise AudioDecodeError(
                f"{self._rules.name}: ffmpeg is allowed, but not on PATH; or: pip install 'sewd[media]'"
            )
        command = [program, "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe", "-f", demuxer]
        command += ["-i", f"file:{path}", "-map", "0:a:0", "-af", "aresample=async=1:min_hard_comp=0.1"]
        command += ["-c:a", "pcm_f32le", "-f", "wav", "pipe:1"]
        self._messages: Any = tempfile.TemporaryFile()  # noqa: SIM115 - on the stack
        stack.callback(self._messages.close)
        self._process: Any = subprocess.Popen(  # noqa: S603 - no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            start_new_session=True,  # Ctrl-C is for us: it would look like the end of the recording
        )
        stack.enter_context(self._process)
        stack.callback(self._process.kill)

    def _stop(self) -> None:
        self._has_stalled = True
        self._process.kill()

    def _reason(self) -> str:
        """Return the last line that the program wrote about it."""
        if self._has_stalled:
            return f"it wrote nothing for {STALL_S:g} s"
        self._messages.seek(0)
        lines = self._messages.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _error(self) -> AudioDecodeError:
        self._process.wait()
        reason = self._reason() or "it found no samples"
        if self._missing is not None:
            return self._rules.truncated(self._missing)
        return AudioDecodeError(f"{self._rules.name}: cannot be read as audio by ffmpeg: {reason}")


def _is_same(file: Any, name: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), Path(name).stat())
    except OSError:  # it has no descriptor
        return False


def _path_of(file: BinaryIO, stack: ExitStack) -> Path:
    """Return a path that has the content of a file: its own, or that of a temporary copy."""
    whole = file.whole_file() if isinstance(file, Region) else file
    name = getattr(whole, "name", None)
    if isinstance(name, str) and Path(name).is_file() and _is_same(whole, name):
        return Path(name).absolute()
    path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sewd-"))) / "recording"
    file.seek(0)
    with path.open("wb") as copy:
        shutil.copyfileobj(file, copy)
    return path
