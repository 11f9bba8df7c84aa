"""The processes of memory.py: each runs one job, JSON in the first argument, and prints lines of JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.speech import SAMPLE_RATE_HZ, read_packaged
from sewd_runtime.bundle.folder import find_bundle
from sewd_runtime.system.machine import peak_memory_bytes

REQUEST_SECONDS = (0.5, 15.0)
SETTLED = 100
"""Requests after which memory should have stopped growing."""

POINTS = (10, 50, SETTLED, 200, 500, 1_000, 2_000, 5_000, 10_000)
SEED = 0
LONG_SECONDS = 120
LONG_AROUND = 50
"""Short requests before and after one long recording, whose memory may stay allocated."""


def speech(seconds: float) -> NDArray[np.float32]:
    """Return the exporter's clips one after another, repeated to length: (samples,) float32."""
    clips = [samples for _, (samples, _) in sorted(read_packaged().items())]
    return np.resize(np.concatenate(clips), round(seconds * SAMPLE_RATE_HZ))


def requests(count: int) -> Iterator[NDArray[np.float32]]:
    """Yield seeded random clips, lengths uniform within REQUEST_SECONDS."""
    source = speech(60)
    rng = np.random.default_rng(SEED)
    for _ in range(count):
        length = int(rng.uniform(*REQUEST_SECONDS) * SAMPLE_RATE_HZ)
        start = int(rng.integers(len(source) - length))
        yield source[start : start + length].copy()


def resident_bytes() -> int:
    """Return the memory this process has resident now."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def do_file(job: dict[str, Any]) -> int:
    """In the child: ``sewd transcribe`` one file, then print peak memory and CPU time."""
    from sewd_runtime.cli import main as sewd

    model = ["--model", job["model"]] if job["model"] else []
    code = sewd(["transcribe", "--threads", "1", "--precision", job["precision"], *model, job["path"]])
    print(json.dumps({"peak_bytes": peak_memory_bytes(), "cpu_s": round(time.process_time(), 1)}))
    return code


def do_requests(job: dict[str, Any]) -> int:
    """In the child: run many requests on one model; print the resident memory at POINTS."""
    run = open_model(job)
    for done, samples in enumerate(requests(job["count"]), start=1):
        run(samples)
        if done in POINTS or done == job["count"]:
            point = {"after": done, "resident_bytes": resident_bytes(), "peak_bytes": peak_memory_bytes()}
            print(json.dumps(point), flush=True)
    return 0


def do_long(job: dict[str, Any]) -> int:
    """In the child: run short requests, one long recording, short requests again; print resident memory."""
    run = open_model(job)
    kept = {}
    for name, clips in (
        ("before_bytes", requests(LONG_AROUND)),
        ("after_long_bytes", [speech(LONG_SECONDS)]),
        ("after_bytes", requests(LONG_AROUND)),
    ):
        start = time.process_time()
        for samples in clips:
            run(samples)
        kept[name] = resident_bytes()
    last_cpu_s = round(time.process_time() - start, 2)
    print(json.dumps({**kept, "peak_bytes": peak_memory_bytes(), "last_cpu_s": last_cpu_s}))
    return 0


def open_model(job: dict[str, Any]) -> Callable[[NDArray[np.float32]], object]:
    """Return a function that runs one request: the recognizer's, or onnxruntime with a variant's settings."""
    if "variant" not in job:
        from sewd_runtime import Recognizer

        recognizer = Recognizer.load(job["model"], precision=job["precision"], threads=1)
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
    bundle = find_bundle(job["model"])
    path = bundle.path_of(bundle.manifest.precisions[job["precision"]].file)
    session = onnxruntime.InferenceSession(
        path, sess_options=options, providers=[("CPUExecutionProvider", extend)]
    )
    return lambda samples: session.run(
        None, {"input_values": samples[None], "input_lengths": np.array([len(samples)])}, settings
    )


def main() -> int:
    """Do the job and return its exit code."""
    job = json.loads(sys.argv[1])
    return {"file": do_file, "requests": do_requests, "long": do_long}[job["kind"]](job)


if __name__ == "__main__":
    sys.exit(main())
