"""The plot of docs/accuracy.md: word error rate of each precision against its speed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.plots import add_legend, open_panels, save

NAME = "accuracy_speed.svg"
_MARKERS = "osD^vP*"


def draw(figures: Mapping[str, Any]) -> Any:
    """Draw the word error rate with its 95 % interval against speed: a panel for each set of `precisions`."""
    figure, panels = open_panels(len(figures), width=3.2, height=3.6, legend=1.8)
    for panel, (title, found) in zip(panels, figures.items(), strict=True):
        for number, (name, row) in enumerate(found["variants"].items()):
            low, high = row["interval"]
            panel.errorbar(
                row["times_real_time"],
                row["wer"],
                yerr=[[row["wer"] - low], [high - row["wer"]]],
                marker=_MARKERS[number],
                color=f"C{number}",
                linestyle="",
                linewidth=1,
                label=name,
            )
        panel.set(xlabel="seconds of speech a second", ylabel="words wrong, %")
        panel.set_title(title, fontsize=9)
    add_legend(panels[-1])
    figure.tight_layout()
    return figure


def write(results: Path) -> None:
    """Write the plot beside the results, where `precisions` was measured."""
    path = results / "accuracy_precisions.json"
    if path.is_file():
        save(draw(json.loads(path.read_text(encoding="utf-8"))["figures"]), results / NAME)
