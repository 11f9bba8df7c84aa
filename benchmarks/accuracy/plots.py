"""The plot of docs/accuracy.md: what each precision's errors are, and how fast it makes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

from benchmarks.peers import svg

NAME = "accuracy_speed.svg"
_MARKERS = "osD^vP*"


def draw(figures: Mapping[str, Any]) -> Any:
    """Draw words wrong, with 95 % intervals, against speed: a panel for each set of `precisions`."""
    sets = {f"{model}: {name}": found for model, parts in figures.items() for name, found in parts.items()}
    figure, panels = pyplot.subplots(1, len(sets), figsize=(3.2 * len(sets) + 1.8, 3.6), squeeze=False)
    for panel, (title, found) in zip(panels[0], sets.items(), strict=True):
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
        panel.grid(alpha=0.3)
    panels[0][-1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.02, 1))
    figure.tight_layout()
    return figure


def write(results: Path) -> None:
    """Write the plot beside the results, where `precisions` was measured."""
    path = results / "accuracy_precisions.json"
    if not path.is_file():
        return
    svg.save(draw(json.loads(path.read_text(encoding="utf-8"))["figures"]), results / NAME)
