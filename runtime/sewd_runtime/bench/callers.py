"""``sewd bench --serve``: how many recordings to run at once, each on how many threads."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from sewd_runtime._types import Samples
from sewd_runtime.bench.cases import Model, Plan, Speech, batch_method
from sewd_runtime.bench.measure import interleave, timed
from sewd_runtime.bench.run import Target
from sewd_runtime.system.machine import available_cores, describe_machine

CLIP_SECONDS = (2.0, 5.0, 10.0, 20.0)
_CLIPS_PER_CORE = 4


def measure_callers(target: Target, plan: Plan) -> dict[str, Any]:
    """Share all cores in several ways, and return how much speech a second each transcribes.

    So many workers call one loaded model at once, a clip at a time, each call on so many threads. Raises what
    ``load`` raises, AudioTooShortError and InferenceError.
    """
    machine, cores = describe_machine(), available_cores()
    clips = _CLIPS_PER_CORE * cores
    works: dict[int, Callable[[], float]] = {}
    cases: list[dict[str, Any]] = []
    for threads in plan.thread_counts:
        model = target.load(threads)
        workers, speech = max(1, cores // threads), Speech(model.network.bundle)
        for seconds in CLIP_SECONDS:
            batch = [speech.clip(seconds, start=997 * number) for number in range(clips)]
            work = partial(_call, model, batch, workers)
            work()
            works[len(cases)] = timed(work)
            cases.append({"workers": workers, "threads": threads, "seconds": seconds})
    rounds_s = interleave(works, rounds=plan.rounds)
    for number, case in enumerate(cases):
        case["audio_per_s"] = clips * case["seconds"] / float(np.median(rounds_s[number]))
    return {"machine": machine, "callers": cases, "best": _best(cases)}


def callers_table(document: Mapping[str, Any]) -> str:
    """Return the document of ``measure_callers`` as text, with a final newline."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    row = "{:>8}{:>8}" + "{:>10}" * len(CLIP_SECONDS)
    yield "seconds of speech a second, by the length of the clips"
    yield row.format("workers", "threads", *(f"{seconds:g} s" for seconds in CLIP_SECONDS))
    for way, speeds in _ways(document["callers"]).items():
        yield row.format(*way, *(f"{speed:.0f}" for speed in speeds))
    best = document["best"]
    yield f"best: sewd serve --workers {best['workers']} --threads {best['threads']}"


def _ways(cases: Sequence[Mapping[str, Any]]) -> dict[tuple[int, int], list[float]]:
    """Return (workers, threads) → the speed with clips of each length."""
    ways: dict[tuple[int, int], list[float]] = {}
    for case in cases:
        ways.setdefault((case["workers"], case["threads"]), []).append(case["audio_per_s"])
    return ways


def _best(cases: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the way with the largest geometric mean of its speeds."""
    ways = _ways(cases)
    workers, threads = max(ways, key=lambda way: math.prod(ways[way]))
    return {"workers": workers, "threads": threads}


def _call(model: Model, clips: Sequence[Samples], workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(lambda clip: batch_method(model, [clip])(), clips):
            pass
