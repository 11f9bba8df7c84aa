"""What all plots share: panels in a row, a legend beside them, reproducible SVG; imports matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot


def open_panels(count: int, *, width: float, height: float, legend: float = 2.0) -> tuple[Any, list[Any]]:
    """Return a figure and its panels in a row, each `width` inches wide, and `legend` for what is beside."""
    figure, panels = pyplot.subplots(1, count, figsize=(width * count + legend, height), squeeze=False)
    for panel in panels[0]:
        panel.grid(alpha=0.3)
    return figure, list(panels[0])


def add_legend(panel: Any) -> None:
    """Put a panel's legend on its right."""
    panel.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.02, 1))


def save(figure: Any, path: Path) -> None:
    """Write a figure as SVG and close it; equal results give equal bytes: no date, fixed ids."""
    with matplotlib.rc_context({"svg.hashsalt": "peers", "svg.fonttype": "none"}):
        figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
