"""Law: the embedded bundle is the embedded checkpoint's, in today's format, and both are what the model card
describes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sewd_export.checkpoint.loading import load_checkpoint
from sewd_runtime.bundle.folder import find_bundle

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["digits", "keywords"])
def test_the_bundle_is_made_of_the_checkpoint(name: str) -> None:
    bundle = find_bundle(name)
    bundle.verify()
    checkpoint = load_checkpoint(name)
    assert bundle.manifest.provenance.checkpoint_sha256 == checkpoint.sha256
    assert bundle.manifest.provenance.checkpoint == checkpoint.origin
    assert (checkpoint.folder / "model.safetensors").stat().st_size <= 8e6


def test_the_card_states_the_measured_figures() -> None:
    figures = json.loads((ROOT / "benchmarks/results/digits_model.json").read_text())
    card = (ROOT / "export/sewd_export/models/digits/README.md").read_text()
    for run in (figures["model"], figures["fold"]):
        for name in (
            "known_singles",
            "known_strings",
            "unheard_singles",
            "unheard_strings",
            "synthetic_strings",
        ):
            if name in run["sets"]:
                found = run["sets"][name]
                row = f"| {found['utterances']} | {found['words']} | {100 * found['wer']:.1f} % |"
                assert row in card, f"{name}: {row}"
        assert f"{run['steps']:,} steps" in card


def test_the_card_of_the_keyword_spotter_states_the_measured_figures() -> None:
    figures = json.loads((ROOT / "benchmarks/results/keywords_model.json").read_text())
    card = (ROOT / "export/sewd_export/models/keywords/README.md").read_text()
    for precision, sets in figures["precisions"].items():
        for name, found in sets.items():
            low, high = found["interval"]
            row = f"| {name}, {precision} | {found['clips']} | {found['accuracy']} % ({low} to {high}) |"
            assert row in card, row
    assert f"{figures['training']['steps']:,} steps" in card
    assert (find_bundle("keywords").path / "model.int8.onnx").stat().st_size <= 3e6
