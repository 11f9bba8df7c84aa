"""Two plots of the results as SVG; needs matplotlib."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

from benchmarks.peers import results, svg
from benchmarks.peers.prepare import ROOT
from benchmarks.peers.report import ACCURACY, CLIP_S, SPEED

LATENCY, TRADE = "peers_latency.svg", "peers_error.svg"
_BASELINE = "transformers"
_FLOOR = 1e-8  # where an error of zero is drawn


def _style(number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    markers = "osD^vP*Xph<>"
    colour = f"C{number % 10}" if row["ours"] else "0.45"
    return {"marker": markers[number % len(markers)], "color": colour, "label": row["name"]}


def _rows(content: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], dict[str, Any]]]:
    """Return each variant that runs with its style: ours in colour, others in grey."""
    rows = [row for row in content["variants"] if "failed" not in row]
    numbers = {True: 0, False: 0}
    styled = []
    for row in rows:
        styled.append((row, _style(numbers[row["ours"]], row)))
        numbers[row["ours"]] += 1
    return styled


def draw_latency(content: Mapping[str, Any]) -> Any:
    """Draw the median time against the clip's length, a panel for each number of threads."""
    threads = content["settings"]["threads"]
    figure, panels = pyplot.subplots(1, len(threads), figsize=(5 * len(threads) + 2.6, 4.6), squeeze=False)
    for panel, count in zip(panels[0], threads, strict=True):
        for row, style in _rows(content):
            series = [
                (time["clip_s"], time["median_s"] * 1000)
                for time in content["times"]
                if time["variant"] == row["name"] and time["threads"] == count
            ]
            if series:
                panel.plot(*zip(*sorted(series), strict=True), linewidth=1, markersize=4, **style)
        panel.set(xscale="log", yscale="log", xlabel="seconds of speech", ylabel="milliseconds")
        lengths = content["settings"]["clips_s"]
        panel.set_xticks(lengths, [f"{length_s:g}" for length_s in lengths])
        panel.minorticks_off()
        panel.set_title(f"{content['title']}, {count} thread{'s' * (count > 1)}", fontsize=9)
        panel.grid(alpha=0.3)
    panels[0][-1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.02, 1))
    return figure


def draw_trade(content: Mapping[str, Any]) -> Any:
    """Draw how many times faster than transformers a variant is, against the error of its logits."""
    figure, panel = pyplot.subplots(figsize=(8, 4.6))
    threads = content["settings"]["threads"][0]
    for row, style in _rows(content):
        wanted = {"variant": row["name"], "against": _BASELINE, "threads": threads, "clip_s": CLIP_S}
        found = results.find(content["ratios"], **wanted)
        times = 1.0 if row["name"] == _BASELINE else found and found["median"]
        if times is not None:
            error = max(row["errors"]["relative_error"], _FLOOR)
            panel.plot(error, times, linestyle="", markersize=6, **style)
    panel.set(
        xscale="log",
        xlabel="relative error of the logits",
        ylabel="times as fast as transformers",
        title=f"{content['title']}, {CLIP_S:g} s, {threads} thread{'s' * (threads > 1)}",
    )
    panel.title.set_fontsize(9)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.02, 1))
    return figure


def main() -> None:
    """Write both plots beside the results."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers.plots", description="Plots from the results."
    )
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results")
    folder = parser.parse_args().results
    for name, comparison, draw in ((LATENCY, SPEED, draw_latency), (TRADE, ACCURACY, draw_trade)):
        content = results.read(folder, comparison)
        if content is None:
            raise SystemExit(f"{folder}: no results of {comparison}")
        svg.save(draw(content), folder / name)


if __name__ == "__main__":
    main()
