"""A plot of a benchmark's document; needs matplotlib."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sewd_runtime.system.packages import find_matplotlib
from sewd_runtime.system.writing import whole_file

EXTRA = "plot"


def save_plot(document: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a PNG: latency by clip length for each thread count, and throughput by batch size.

    Raises MissingPackageError, and OSError for a path that cannot be written.
    """
    figure = find_matplotlib(EXTRA)(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    bundle, machine = document["bundle"], document["machine"]
    where = f"{machine['processor']}, {machine['cores']} of {machine['cores_total']} cores"
    figure.suptitle(f"{bundle['name']}, {bundle['precision']}, {bundle['provider']}, on {where}")
    _draw_latency(left, document)
    _draw_batches(right, document)
    with whole_file(Path(path)) as file:
        figure.savefig(file.buffer, format="png", dpi=150)


def _draw_latency(axes: Any, document: Mapping[str, Any]) -> None:
    from matplotlib import ticker

    for threads in sorted({case["threads"] for case in document["latency"]}):
        cases = sorted(
            (case for case in document["latency"] if case["threads"] == threads),
            key=lambda case: case["seconds"],
        )
        seconds = [case["seconds"] for case in cases]
        low, middle, high = ([1e3 * case[name] for case in cases] for name in ("min_s", "p50_s", "p90_s"))
        [line] = axes.plot(seconds, middle, marker="o", label=f"threads: {threads}")
        axes.fill_between(seconds, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set(xlabel="clip, s", ylabel="latency, ms (p50; band from min to p90)", xscale="log", yscale="log")
    _mark(axes, {case["seconds"] for case in document["latency"]})
    axes.yaxis.set_major_formatter(ticker.LogFormatter())
    axes.yaxis.set_minor_formatter(ticker.LogFormatter())
    axes.legend()


def _draw_batches(axes: Any, document: Mapping[str, Any]) -> None:
    for kind in sorted({case["kind"] for case in document["batches"]}):
        cases = sorted(
            (case for case in document["batches"] if case["kind"] == kind), key=lambda case: case["clips"]
        )
        speeds = [case["audio_per_s"] for case in cases]
        axes.plot([case["clips"] for case in cases], speeds, marker="o", label=kind)
    axes.set(xlabel="clips in a batch", ylabel="seconds of audio per second", xscale="log", ylim=(0, None))
    _mark(axes, {case["clips"] for case in document["batches"]})
    axes.legend()


def _mark(axes: Any, places: set[float]) -> None:
    """Put ticks only at measured values."""
    axes.set_xticks(sorted(places), [f"{place:g}" for place in sorted(places)])
    axes.set_xticks([], minor=True)
    axes.grid(visible=True, which="both", alpha=0.3)
