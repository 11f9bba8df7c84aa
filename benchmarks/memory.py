"""Peak memory of long files and memory after many requests, each in processes of its own; Linux.

python -m benchmarks.memory -o benchmarks/results/memory.json
python -m benchmarks.memory --minutes 1 --requests 200 --variants    (a short run)

Long files go through ``sewd transcribe`` under a limit on address space, so that a file that does not fit
fails by itself. Requests of seeded random lengths go through ``Recognizer.transcribe``; the variants run the
same requests on onnxruntime directly with other memory settings. Wall times need an idle machine; memory does
not.
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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.memory_jobs import LONG_AROUND, LONG_SECONDS, REQUEST_SECONDS, SEED, SETTLED, speech
from benchmarks.speech import SAMPLE_RATE_HZ
from sewd_runtime.bundle.folder import find_bundle
from sewd_runtime.bundle.manifest import MANIFEST_NAME
from sewd_runtime.system.hashing import sha256_of
from sewd_runtime.system.machine import describe_machine, describe_versions

JOBS = "benchmarks.memory_jobs"
MAX_GROWTH = 0.05
"""How much resident memory may grow from SETTLED requests to the last, as a share."""

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


def run_child(job: dict[str, Any], *, limit_bytes: int | None = None) -> tuple[int, list[Any], str]:
    """Run a job in a new process; return its exit code, the JSON it printed, and its last error line."""
    environment = {**os.environ, **job.get("environment", {})}

    def limit() -> None:
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))

    done = subprocess.run(
        [sys.executable, "-m", JOBS, json.dumps(job)],
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
    """Transcribe one file of each length; yield peak memory and time, or the error if it did not fit."""
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
    with soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, 1, subtype="PCM_16") as file:
        for start in range(0, round(seconds * SAMPLE_RATE_HZ), len(minute)):
            file.write(minute[: round(seconds * SAMPLE_RATE_HZ) - start])


def short(complaint: str, path: Path) -> str:
    """Shorten an error message, and remove the temporary path."""
    return complaint.replace(str(path), path.name)[:300]


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


def measure_long(model: Model, variant: dict[str, Any]) -> dict[str, Any]:
    """Return the resident memory before and after one long recording, in a new process."""
    environment = variant.get("environment", {})
    job = {"kind": "long", **model, "variant": variant, "environment": environment}
    code, found, complaint = run_child(job)
    if code:
        raise SystemExit(f"the process of a long recording ended with {code}: {complaint}")
    return dict(found[-1])


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
    bundle = find_bundle(model["model"])
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
    document["after_long"] = {
        "seconds": LONG_SECONDS,
        "requests_before_and_after": LONG_AROUND,
        "variants": {name: measure_long(model, VARIANTS[name]) for name in arguments.variants},
    }
    document["files"] = {
        "limit_bytes": limit_bytes,
        "limit": "of address space (RLIMIT_AS)",
        "found": list(measure_files(arguments.minutes, model, limit_bytes)),
    }
    if arguments.output is None:
        print(json.dumps(document, indent=2))
    else:
        results.write(arguments.output, document)
    return 0


if __name__ == "__main__":
    sys.exit(main())
