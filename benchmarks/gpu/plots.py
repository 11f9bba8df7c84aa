"""Two plots of the results: latency of batch 1 by length, and RTFx by batch size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

PANELS = (
    ("latency", lambda time: time["batch"] == 1, "clip_s", "p50_ms", "seconds of speech", "milliseconds"),
    ("throughput", lambda time: time["is_batch_clip"], "batch", "rtfx", "recordings of 10 s", "RTFx"),
)


def draw(content: Mapping[str, Any], folder: Path, stem: str) -> list[Path]:
    """Write one SVG for each kind of plot, a panel for each model; returns their paths."""
    from benchmarks.plots import open_panels, save

    models = list(dict.fromkeys(row["model"] for row in content["rows"] if "times" in row))
    paths = []
    for name, wanted, across, up, xlabel, ylabel in PANELS if models else ():
        figure, panels = open_panels(len(models), width=4, height=4)
        for panel, model in zip(panels, models, strict=True):
            for row in content["rows"]:
                points = [(time[across], time[up]) for time in row.get("times", ()) if wanted(time)]
                if row["model"] == model and points:
                    series = zip(*sorted(points), strict=True)
                    panel.plot(*series, marker="o", markersize=3, label=row["variant"])
            panel.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel, title=model)
            panel.legend(fontsize=6)
        figure.suptitle(content["machine"]["gpu"] or content["machine"]["processor"], fontsize=9)
        paths.append(folder / f"{stem}_{name}.svg")
        save(figure, paths[-1])
    return paths
