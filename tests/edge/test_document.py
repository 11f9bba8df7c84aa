"""Law: docs/edge.md shows what was measured, and the sizes of the models that are here."""

from __future__ import annotations

from benchmarks.edge import DOCUMENT, EMBEDDED, FILE, PRECISIONS, figures, sizes
from benchmarks.results import read


def test_it_shows_the_results() -> None:
    content = read(FILE)
    assert content is not None
    text = DOCUMENT.read_text(encoding="utf-8")
    assert figures(content) in text and sizes(content["sizes"]) in text
    for name, folder in EMBEDDED.items():
        for file in (f"model.{precision}.onnx" for precision in PRECISIONS):
            stated = content["sizes"]["models"][name][file]
            assert f"{stated / 1e6:.1f}" == f"{(folder / file).stat().st_size / 1e6:.1f}"
