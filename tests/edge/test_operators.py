"""Law: the list for a reduced build names exactly the operators that the embedded models need today."""

from __future__ import annotations

from pathlib import Path

from benchmarks.edge import OPERATORS, merge_operators
from sewd_export.layouts.ort_format import OPERATORS_NAME


def test_the_list_is_what_the_models_need(ort: dict[str, Path]) -> None:
    lists = [folder / OPERATORS_NAME for folder in ort.values()]
    assert OPERATORS.read_text() == merge_operators(lists), "make bench-edge writes the list again"


def test_an_operator_that_a_graph_gains_is_seen(tmp_path: Path) -> None:
    gained = tmp_path / OPERATORS_NAME
    gained.write_text("# models\nai.onnx;13;Add,Erf\n\nai.onnx;6;Abs\n")
    with_it = merge_operators([OPERATORS, gained])
    assert with_it != OPERATORS.read_text() == merge_operators([OPERATORS])
    assert "\nai.onnx;6;Abs\nai.onnx;11;" in with_it and ";13;Add,Clip,Concat,Erf," in with_it
