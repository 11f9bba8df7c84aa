"""One benchmark, from a plan to the document that is written as JSON."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from sewd_runtime.bench.cases import (
    BATCH_SECONDS,
    FIRST_SECONDS,
    Case,
    Model,
    Plan,
    Speech,
    batch_method,
    make_cases,
)
from sewd_runtime.bench.fresh import FreshRun, Request, run_fresh
from sewd_runtime.bench.measure import idle_share, interleave, summarize, timed
from sewd_runtime.bundle.manifest import MANIFEST_NAME
from sewd_runtime.loading import load
from sewd_runtime.system.hashing import sha256_of
from sewd_runtime.system.machine import describe_machine, describe_versions

DOCUMENT_VERSION = 1
_COLD_PARTS = ("python_s", "import_s", "load_s", "first_s", "total_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The model to measure, and how it runs."""

    path: str | os.PathLike[str] | None = None
    precision: str | None = None
    provider: str = "cpu"

    def load(self, threads: int) -> Model:
        """Load the model for a number of threads."""
        return load(self.path, precision=self.precision, provider=self.provider, threads=threads)


def run_benchmark(target: Target, plan: Plan) -> dict[str, Any]:
    """Measure everything in the plan and return the document; ``docs/benchmarks.md`` states its keys.

    Raises what ``load`` raises, AudioTooShortError and InferenceError.
    """
    machine = describe_machine()  # before our own work raises the load
    models = {threads: target.load(threads) for threads in plan.thread_counts}
    most = max(models)
    speech = Speech(models[most].network.bundle)
    works = dict(make_cases(plan, models, speech))
    request = Request(
        model=os.fspath(models[most].network.bundle.path),
        precision=models[most].network.precision,
        provider=target.provider,
        threads=most,
        seconds=FIRST_SECONDS,
    )
    peaks = [
        {"seconds": seconds, "peak_bytes": run_fresh(replace(request, seconds=seconds)).peak_bytes}
        for seconds in plan.seconds
    ]
    batch_method(models[most], [speech.clip(FIRST_SECONDS)])()
    idle = idle_share()
    rounds_s, starts = _measure(works, partial(run_fresh, request), plan.rounds)
    cases = [_describe_case(case, rounds_s[case]) for case in works]
    return {
        "version": DOCUMENT_VERSION,
        "machine": machine,
        "versions": describe_versions(),
        "bundle": _describe_bundle(models[most]),
        "method": _describe_method(plan, most),
        "latency": [case for case in cases if case["kind"] == "latency"],
        "batches": [case for case in cases if case["kind"] != "latency"],
        "cold_start": {part: summarize([getattr(start, part) for start in starts]) for part in _COLD_PARTS},
        "peak_memory": peaks,
        "idle_share": idle,
    }


def _measure(
    works: dict[Case, Callable[[], object]], start_fresh: Callable[[], FreshRun], rounds: int
) -> tuple[dict[Case | None, list[float]], list[FreshRun]]:
    """Time all cases and the fresh process in interleaved rounds, after one untimed run of each case."""
    starts: list[FreshRun] = []

    def start_once() -> float:
        starts.append(start_fresh())
        return starts[-1].total_s

    for work in works.values():
        work()
    cases: dict[Case | None, Callable[[], float]] = {case: timed(work) for case, work in works.items()}
    return interleave({None: start_once, **cases}, rounds=rounds), starts


def _describe_case(case: Case, rounds_s: Sequence[float]) -> dict[str, Any]:
    summary = summarize(rounds_s)
    speeds = {"rtf": summary["p50_s"] / case.seconds, "audio_per_s": case.seconds / summary["p50_s"]}
    return {**asdict(case), **summary, **speeds}


def _describe_bundle(model: Model) -> dict[str, Any]:
    network, manifest = model.network, model.manifest
    path = network.bundle.path / MANIFEST_NAME
    return {
        "name": manifest.name,
        "task": manifest.task,
        "sha256": sha256_of(path),  # the manifest holds the hash of every other file
        "precision": network.precision,
        "provider": network.session.provider,
        "model_bytes": manifest.files[manifest.precisions[network.precision].file].size_bytes,
        "bundle_bytes": sum(entry.size_bytes for entry in manifest.files.values()) + path.stat().st_size,
        "precisions": sorted(manifest.precisions),
    }


def _describe_method(plan: Plan, most_threads: int) -> dict[str, Any]:
    return {
        "rounds": plan.rounds,
        "warm_up": "each case ran once, untimed, before the first round",
        "order": "every round runs all cases, in a new seeded order",
        "audio": "the bundle's golden utterance, repeated to length",
        "latency": "one clip, from samples in memory to its result; reading a file is not included",
        "batches": {
            "one_run": "one padded batch through the graph",
            "planned": "the model's batch method, which runs clips of similar length together",
        },
        "batch_clip_seconds": list(BATCH_SECONDS),
        "cold_start": "a new process each round, files in the system's cache",
        "first_clip_seconds": FIRST_SECONDS,
        "peak_memory": "resident, of a new process that runs one clip",
        "idle_share": "CPU time over one second after a run, as a share of one core",
        "threads_of_batches_and_processes": most_threads,
    }
