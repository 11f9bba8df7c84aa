"""A process that starts from nothing: what its first clip costs, part by part, and its memory."""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib import import_module

from sewd_runtime.errors import InferenceError

ENGINES = ("onnxruntime", "openvino")
"""Packages that run a graph; the ones the parent has loaded are what its provider needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a fresh process loads and runs."""

    model: str
    precision: str
    provider: str
    threads: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshRun:
    """What one fresh process took.

    python_s: until the interpreter runs our code; import_s: the packages; load_s: the bundle's checks and the
    session; first_s: the first clip; peak_bytes: the most memory resident, None where the system hides it.
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
    """Start a process, let it load the model and run one clip, and return what it took.

    Raises InferenceError when the process fails, e.g. for want of memory.
    """
    engines = [name for name in ENGINES if name in sys.modules]
    content = json.dumps({"request": asdict(request), "engines": engines})
    with tempfile.TemporaryFile() as complaints:
        start = time.perf_counter()
        with subprocess.Popen(  # noqa: S603 - this interpreter, this module
            [sys.executable, "-m", "sewd_runtime.bench.fresh", content],
            stdout=subprocess.PIPE,
            stderr=complaints,
        ) as process:
            assert process.stdout
            line = process.stdout.readline()
            wall = time.perf_counter() - start
        complaints.seek(0)
        reason = complaints.read().decode(errors="replace").strip().splitlines()
    if process.returncode or not line:
        raise InferenceError(
            f"a fresh process that runs {request.seconds:g} s ended with {process.returncode}: "
            f"{reason[-1] if reason else 'it gave no reason'}; try shorter clips with --seconds"
        )
    found = json.loads(line)
    python_s = wall - found.pop("clip_s") - found["import_s"] - found["load_s"] - found["first_s"]
    return FreshRun(python_s=python_s, **found)


def main() -> None:
    """Do what the request in the first argument says; print one line of JSON."""
    content = json.loads(sys.argv[1])
    request = Request(**content["request"])
    moments = [time.perf_counter()]
    for name in content["engines"]:
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
