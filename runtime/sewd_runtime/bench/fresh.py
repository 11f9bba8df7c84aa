"""A fresh process: the time to its first result, part by part, and its peak memory."""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib import import_module

from sewd_runtime.errors import InferenceError

LIBRARIES = ("onnxruntime", "openvino")
"""Inference libraries; those that the parent has imported are what its provider needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The model and the clip of a fresh process."""

    model: str
    precision: str
    provider: str
    threads: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshRun:
    """The times and memory of one fresh process.

    python_s: until the interpreter runs our code; import_s: the packages; load_s: the bundle's checks and the
    session; first_s: the first clip; peak_bytes: peak resident memory, None where unknown.
    """

    python_s: float
    import_s: float
    load_s: float
    first_s: float
    peak_bytes: int | None

    @property
    def total_s(self) -> float:
        """From the start of the process to the first result."""
        return self.python_s + self.import_s + self.load_s + self.first_s


def run_fresh(request: Request) -> FreshRun:
    """Start a process that loads the model and runs one clip, and return its times and memory.

    Raises InferenceError if the process fails, e.g. because memory ran out.
    """
    libraries = [name for name in LIBRARIES if name in sys.modules]
    content = json.dumps({"request": asdict(request), "libraries": libraries})
    with tempfile.TemporaryFile() as stderr_file:
        start = time.perf_counter()
        with subprocess.Popen(  # noqa: S603 - this interpreter, this module
            [sys.executable, "-m", "sewd_runtime.bench.fresh", content],
            stdout=subprocess.PIPE,
            stderr=stderr_file,
        ) as process:
            assert process.stdout
            line = process.stdout.readline()
            wall = time.perf_counter() - start
        stderr_file.seek(0)
        reason = stderr_file.read().decode(errors="replace").strip().splitlines()
    if process.returncode or not line:
        raise InferenceError(
            f"a fresh process that runs {request.seconds:g} s ended with {process.returncode}: "
            f"{reason[-1] if reason else 'no reason given'}; try shorter clips with --seconds"
        )
    taken = json.loads(line)
    python_s = wall - taken.pop("clip_s") - taken["import_s"] - taken["load_s"] - taken["first_s"]
    return FreshRun(python_s=python_s, **taken)


def main() -> None:
    """Run the request in the first argument and print one line of JSON."""
    content = json.loads(sys.argv[1])
    request = Request(**content["request"])
    moments = [time.perf_counter()]
    for name in content["libraries"]:
        import_module(name)
    loading = import_module("sewd_runtime.loading")
    moments.append(time.perf_counter())
    model = loading.load(
        request.model, precision=request.precision, provider=request.provider, threads=request.threads
    )
    moments.append(time.perf_counter())
    cases = import_module("sewd_runtime.bench.cases")
    work = cases.batch_method(model, [cases.Speech(model.network.bundle).clip(request.seconds)])
    moments.append(time.perf_counter())
    work()
    moments.append(time.perf_counter())
    names = ("import_s", "load_s", "clip_s", "first_s")
    taken = {name: after - before for name, before, after in zip(names, moments, moments[1:], strict=False)}
    peak = import_module("sewd_runtime.system.machine").peak_memory_bytes()
    print(json.dumps({**taken, "peak_bytes": peak}), flush=True)


if __name__ == "__main__":
    main()
