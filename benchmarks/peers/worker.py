"""One variant in a process of its own, `python -m benchmarks.peers.worker`, that reads and writes JSON lines.

The first line of input says what to open: `opener`, `path`, `threads`, `cores`, `options`, `clips`. The
worker answers `{"ready": true}` or `{"error": message}`. Each further line is one of

    {"run": clip, "repeats": n}     → {"seconds": s}, the time of the last of n runs
    {"logits": file, "to": file}    → {"utterances": n}, after writing the logits of one .npz to another

and an empty line, or the end of the input, ends the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from sewd_runtime.system.packages import find_packages

PACKAGES = (
    "nncf", "numpy", "onnx", "onnxruntime", "openvino", "optimum", "optimum-onnx", "torch", "transformers",
)  # fmt: skip


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the driver dies, which may happen while it is stopped."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@contextlib.contextmanager
def _own_stdout() -> Iterator[TextIO]:
    """Yield the real standard output, and redirect what libraries print to standard error."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as channel:
        os.dup2(2, 1)
        yield channel


def versions() -> dict[str, str]:
    """Return the version of Python, and those of PACKAGES that are installed in this environment."""
    return {"python": platform.python_version(), **find_packages(PACKAGES)}


class _Variant:
    """An opened model and the audio it is timed on."""

    def __init__(self, message: dict[str, Any]) -> None:
        import numpy as np

        module, function = message["opener"].split(":")
        with np.load(message["clips"]) as file:
            self.clips = {name: file[name] for name in file.files}
        opener = getattr(importlib.import_module(module), function)
        self.infer = opener(Path(message["path"]), message["threads"], message["options"])

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        return self._time(**message) if "run" in message else self._write_logits(**message)

    def _time(self, *, run: str, repeats: int) -> dict[str, Any]:
        samples = self.clips[run]
        for _ in range(repeats):
            start = time.perf_counter()
            self.infer(samples)
            seconds = time.perf_counter() - start
        return {"seconds": seconds}

    def _write_logits(self, *, logits: str, to: str) -> dict[str, Any]:
        import numpy as np

        with np.load(logits) as file:
            results = {name: self.infer(file[name]) for name in file.files}
        np.savez(to, **results)
        return {"utterances": len(results)}


def main() -> None:
    """Serve one driver."""
    _die_with_parent()
    with _own_stdout() as channel:

        def say(message: dict[str, Any]) -> None:
            channel.write(json.dumps(message) + "\n")
            channel.flush()

        first = json.loads(sys.stdin.readline())
        if first["cores"]:
            os.sched_setaffinity(0, first["cores"])
        try:
            variant = _Variant(first)
            say({"ready": True})
            for line in iter(sys.stdin.readline, ""):
                if not line.strip():
                    break
                say(variant.answer(json.loads(line)))
        except Exception as error:
            import traceback

            traceback.print_exc()
            say({"error": f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"})


if __name__ == "__main__":
    main()
