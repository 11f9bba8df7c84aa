"""Peak memory of long files and memory after many requests, each in processes of its own; Linux.

python benchmarks/memory.py -o benchmarks/results/memory.json
    (--minutes 1 --requests 200 --variants: a short run)

Long files go through ``sewd transcribe`` under a limit on address space, so that what does not fit fails by
itself. Requests go through ``Recognizer.transcribe``, lengths drawn with a seed; the variants run the same
requests on onnxruntime directly with other settings of its memory. Wall times are only as good as the
machine was quiet; memory does not depend on it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sewd_runtime import read_audio
from sewd_runtime.bench.machine import describe_machine, describe_versions, peak_memory_bytes
from sewd_runtime.bundle import MANIFEST_NAME, find_bundle, open_bundle, sha256_of

RATE_HZ = 16_000
CLIPS = Path(__file__).parents[1] / "export/sewd_export/speech"
REQUEST_SECONDS = (0.5, 15.0)
SETTLED = 100
"""Requests after which memory should have stopped growing."""

MAX_GROWTH = 0.05
POINTS = (10, 50, SETTLED, 200, 500, 1_000, 2_000, 5_000, 10_000)
SEED = 0

Model = dict[str, str | None]
"""The ``model`` (a bundle, None is the embedded one) and the ``precision`` of all jobs."""

VARIANTS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "memory pattern": {"memory_pattern": True},
    "no arena": {"arena": False},
    "arena grows as requested": {"extend": "kSameAsRequested"},
    "arena shrinks after each run": {"shrink": True},
    "MALLOC_ARENA_MAX=1": {"environment": {"MALLOC_ARENA_MAX": "1"}},
}
"""Settings of onnxruntime's and glibc's memory; ``as shipped`` is what session.py sets."""


def speech(seconds: float) -> NDArray[np.float32]:
    """Return the repository's clips one after another, repeated to length: (samples,) float32."""
    clips = [read_audio(path) for path in sorted(CLIPS.glob("*.flac"))]
    return np.resize(np.concatenate(clips), round(seconds * RATE_HZ))


def requests(count: int) -> Iterator[NDArray[np.float32]]:
    """Yield seeded clips, lengths uniform within REQUEST_SECONDS, from seeded places of the speech."""
    source = speech(60)
    rng = np.random.default_rng(SEED)
    for _ in range(count):
        length = int(rng.uniform(*REQUEST_SECONDS) * RATE_HZ)
        start = int(rng.integers(len(source) - length))
        yield source[start : start + length].copy()


def resident_bytes() -> int:
    """Return the memory this process has resident now."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def run_child(job: dict[str, Any], *, limit_bytes: int | None = None) -> tuple[int, list[Any], str]:
    """Run a job in a new process; return its exit code, the JSON it printed, and its last complaint."""
    environment = {**os.environ, **job.get("environment", {})}

    def limit() -> None:
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))

    done = subprocess.run(
        [sys.executable, __file__, "--job", json.dumps(job)],
        env=environment,
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = done.stderr.strip().splitlines()
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return done.returncode, found, complaints[-1] if complaints else ""


def measure_files(minutes: Sequence[float], model: Model, limit_bytes: int) -> Iterator[dict[str, Any]]:
    """Transcribe one file of each length; yield peak memory and time, or why it did not fit."""
    with tempfile.TemporaryDirectory() as folder:
        for each in minutes:
            path = Path(folder) / f"{each:g} minutes.wav"
            write_speech(path, 60 * each)
            start = time.perf_counter()
            job = {"kind": "file", "path": str(path), **model}
            code, found, complaint = run_child(job, limit_bytes=limit_bytes)
            wall_s = time.perf_counter() - start
            path.unlink()
            fits = code == 0
            taken = found[-1] if found else {"peak_bytes": None, "cpu_s": None}
            yield {
                "minutes": each,
                "fits": fits,
                "peak_bytes": taken["peak_bytes"],
                "cpu_s": taken["cpu_s"],
                "wall_s": round(wall_s, 1),
                **({} if fits else {"exit_code": code, "error": short(complaint, path)}),
            }


def write_speech(path: Path, seconds: float) -> None:
    """Write a 16-bit WAV file minute by minute."""
    import soundfile

    minute = speech(60)
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, subtype="PCM_16") as file:
        for start in range(0, round(seconds * RATE_HZ), len(minute)):
            file.write(minute[: round(seconds * RATE_HZ) - start])


def short(complaint: str, path: Path) -> str:
    """Cut a complaint to what a reader needs, without the temporary path."""
    return complaint.replace(str(path), path.name)[:300]


def do_file(job: dict[str, Any]) -> int:
    """In the child: ``sewd transcribe`` of one file, then what it took."""
    from sewd_runtime.cli import main as sewd

    model = ["--model", job["model"]] if job["model"] else []
    code = sewd(["transcribe", "--threads", "1", "--precision", job["precision"], *model, job["path"]])
    print(json.dumps({"peak_bytes": peak_memory_bytes(), "cpu_s": round(time.process_time(), 1)}))
    return code


def do_requests(job: dict[str, Any]) -> int:
    """In the child: many requests on one model; print the resident memory at some of them."""
    run = open_model(job)
    for done, samples in enumerate(requests(job["count"]), start=1):
        run(samples)
        if done in POINTS or done == job["count"]:
            point = {"after": done, "resident_bytes": resident_bytes(), "peak_bytes": peak_memory_bytes()}
            print(json.dumps(point), flush=True)
    return 0


def open_model(job: dict[str, Any]) -> Callable[[NDArray[np.float32]], object]:
    """Return what runs one request: the recognizer, or onnxruntime itself with a variant's settings."""
    if "variant" not in job:
        from sewd_runtime import Recognizer, load

        recognizer = load(job["model"], precision=job["precision"], threads=1)
        assert isinstance(recognizer, Recognizer), "this benchmark needs a model for ctc"
        return recognizer.transcribe
    import onnxruntime

    variant = job["variant"]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = variant.get("memory_pattern", False)
    options.enable_cpu_mem_arena = variant.get("arena", True)
    extend = {"arena_extend_strategy": variant["extend"]} if "extend" in variant else {}
    settings = onnxruntime.RunOptions()
    if variant.get("shrink"):
        settings.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    bundle = open_bundle(find_bundle(job["model"]))
    path = bundle.path_of(bundle.manifest.precisions[job["precision"]].file)
    session = onnxruntime.InferenceSession(
        path, sess_options=options, providers=[("CPUExecutionProvider", extend)]
    )
    return lambda samples: session.run(
        None, {"input_values": samples[None], "input_lengths": np.array([len(samples)])}, settings
    )


def measure_requests(count: int, model: Model, variant: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run the requests in a new process; return the resident memory at each point and its growth."""
    job: dict[str, Any] = {"kind": "requests", "count": count, **model}
    if variant is not None:
        job |= {"variant": variant, "environment": variant.get("environment", {})}
    start = time.perf_counter()
    code, points, complaint = run_child(job)
    if code:
        raise SystemExit(f"the process of {count} requests ended with {code}: {complaint}")
    settled = {point["after"]: point["resident_bytes"] for point in points}
    growth = settled[count] / settled[min(SETTLED, count)] - 1
    return {
        "requests": count,
        "growth": round(growth, 4),
        "wall_s": round(time.perf_counter() - start, 1),
        "points": points,
    }


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--model", metavar="BUNDLE", help="(default: digits)")
    parser.add_argument("--precision", metavar="P", default="fp32", help="(default: fp32)")
    parser.add_argument("--minutes", type=float, nargs="*", default=[1, 2, 5, 10, 60])
    parser.add_argument(
        "--limit-gb", type=float, default=12, help="of address space for a file (default: 12)"
    )
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--variant-requests", type=int, default=1_000)
    parser.add_argument("-o", "--output", type=Path, help="JSON file (default: stdout)")
    return parser.parse_args()


def describe(model: Model) -> dict[str, Any]:
    """Return the machine, the versions and the bundle."""
    bundle = open_bundle(find_bundle(model["model"]))
    return {
        "machine": describe_machine(),
        "versions": describe_versions(),
        "bundle": {
            "name": bundle.manifest.name,
            "sha256": sha256_of(bundle.path / MANIFEST_NAME),
            "precision": model["precision"],
        },
        "threads": 1,
    }


def main() -> int:
    """Measure everything and write one JSON document."""
    arguments = parse_arguments()
    if arguments.job:
        job = json.loads(arguments.job)
        return do_file(job) if job["kind"] == "file" else do_requests(job)
    limit_bytes = round(arguments.limit_gb * 1e9)
    model = {"model": arguments.model, "precision": arguments.precision}
    document = describe(model)
    document["requests"] = {
        "seed": SEED,
        "seconds": REQUEST_SECONDS,
        "growth": f"resident memory after the last request over that after {SETTLED}, less 1",
        "max_growth": MAX_GROWTH,
        "recognizer": measure_requests(arguments.requests, model),
        "variants": {
            name: measure_requests(arguments.variant_requests, model, VARIANTS[name])
            for name in arguments.variants
        },
    }
    document["files"] = {
        "limit_bytes": limit_bytes,
        "limit": "of address space (RLIMIT_AS)",
        "found": list(measure_files(arguments.minutes, model, limit_bytes)),
    }
    content = json.dumps(document, indent=2) + "\n"
    if arguments.output is None:
        sys.stdout.write(content)
    else:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
