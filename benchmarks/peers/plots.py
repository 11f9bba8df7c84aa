"""Two plots of the results: latency of all variants, and speed against the error of the logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import pyplot
from matplotlib.transforms import blended_transform_factory

from benchmarks.peers import results
from benchmarks.plots import add_legend, open_panels

OURS, PEER, RED, GREY = "#1f6feb", "#b8bec6", "#c1121f", "#59636e"
_BASELINE = "transformers"
_FLOOR = 1e-8  # where an error of zero is drawn
_COLUMNS = {"variant": (0.01, "left"), "runs in": (0.282, "left"), "WER": (0.442, "right")}
"""Column → its place across the figure, and alignment."""


def draw_latency(
    speed: Mapping[str, Any], accuracy: Mapping[str, Any], *, clip_s: float, max_wer_increase: float
) -> Any:
    """Draw a bar for each variant and number of threads, fastest first, beside its word error rate.

    max_wer_increase: a word error rate that exceeds float32's by more is red.
    """
    counts = speed["settings"]["threads"]
    milliseconds = {
        (time["variant"], time["threads"]): 1000 * time["median_s"]
        for time in speed["times"]
        if time["clip_s"] == clip_s
    }
    rows = [row for row in speed["variants"] if (row["name"], counts[0]) in milliseconds]
    rows.sort(key=lambda row: milliseconds[row["name"], counts[0]])
    series = [[milliseconds.get((row["name"], count), 0.0) for row in rows] for count in counts]
    figure, panels = pyplot.subplots(
        1,
        len(counts),
        figsize=(9.6, 0.22 * len(rows) + 1.1),
        squeeze=False,
        gridspec_kw={"width_ratios": [max(widths) for widths in series]},  # one scale for all
    )
    figure.subplots_adjust(left=0.455, right=0.99, wspace=0.04, top=0.865, bottom=0.01)
    for panel, count, widths in zip(panels[0], counts, series, strict=True):
        panel.barh(range(len(rows)), widths, height=0.72, color=_colours(rows))
        for place, width in enumerate(widths):
            panel.text(width, place, f" {width:.0f}", va="center", fontsize=8.5)
        panel.set(xlim=(0, 1.16 * max(widths)), xticks=[], yticks=[], ylim=(len(rows) - 0.4, -0.6))
        panel.set_title(f"{count} thread{'s' * (count > 1)}", fontsize=9, loc="left", color=GREY)
        panel.spines[:].set_visible(False)
    _write_columns(panels[0, 0], rows, accuracy, max_wer_increase)
    title = f"Milliseconds for {clip_s:g} s of speech; {speed['title']}"
    figure.text(0.01, 0.99, title, va="top", fontsize=11, fontweight="bold")
    text = (
        f"sewd in blue. {speed['machine']['processor']}, {speed['machine']['cores']} cores. WER of the same "
        f"variant of {accuracy['title']}, in red if over {100 * max_wer_increase:g} points above float32's."
    )
    figure.text(0.01, 0.945, text, va="top", fontsize=8.5, color=GREY)
    return figure


def _colours(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [OURS if row["ours"] else PEER for row in rows]


def _write_columns(
    panel: Any, rows: Sequence[Mapping[str, Any]], accuracy: Mapping[str, Any], max_wer_increase: float
) -> None:
    """Write name, library and word error rate on the left of each bar."""
    across = blended_transform_factory(panel.figure.transFigure, panel.transData)
    for column, (x, alignment) in _COLUMNS.items():

        def write(place: float, text: str, x: float = x, alignment: str = alignment, **style: Any) -> None:
            panel.text(x, place, text, transform=across, ha=alignment, va="center", **style)

        write(-1.0, column, fontsize=9, color=GREY)
        for place, row in enumerate(rows):
            errors = (results.find(accuracy["variants"], name=row["name"]) or {}).get("errors")
            cells = {"variant": row["name"], "runs in": row["runs"].partition(",")[0]}
            cells["WER"] = f"{errors['wer']:.2%}" if errors else ""
            is_red = column == "WER" and errors and errors["wer_increase"] > max_wer_increase
            weight = "bold" if row["ours"] and column == "variant" else "normal"
            write(place, cells[column], fontsize=8.5, fontweight=weight, color=RED if is_red else "black")


def draw_trade(content: Mapping[str, Any], *, clip_s: float) -> Any:
    """Draw how many times faster than transformers a variant is, against the error of its logits."""
    figure, [panel] = open_panels(1, width=6, height=4.6)
    threads = content["settings"]["threads"][0]
    numbers = {True: 0, False: 0}
    for row in content["variants"]:
        if "failed" in row:
            continue
        number = numbers[row["ours"]]
        numbers[row["ours"]] += 1
        wanted = {"variant": row["name"], "against": _BASELINE, "threads": threads, "clip_s": clip_s}
        ratio = results.find(content["ratios"], **wanted)
        if ratio is None and row["name"] != _BASELINE:
            continue
        panel.plot(
            max(row["errors"]["relative_error"], _FLOOR),
            ratio["median"] if ratio else 1.0,
            linestyle="",
            marker="osD^vP*Xph<>"[number % 12],
            markersize=6,
            color=f"C{number % 10}" if row["ours"] else "0.45",
            label=row["name"],
        )
    panel.set(xscale="log", xlabel="relative error of the logits", ylabel="times as fast as transformers")
    title = f"{content['title']}, {clip_s:g} s, {threads} thread{'s' * (threads > 1)}"
    panel.set_title(title, fontsize=9)
    add_legend(panel)
    return figure
