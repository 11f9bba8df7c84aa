"""Law: the verdict says whether the bundle can be shipped, and never more than the comparison showed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from sewd_export.summary import Summary
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.bundle.manifest import Manifest

DATA = Path(__file__).parents[1] / "data"


def with_changed_texts(name: str, count: int) -> Manifest:
    """The tiny bundle's manifest, where a precision changes this many texts, and the others none."""
    manifest = open_bundle(DATA / "tiny").manifest
    precisions = {
        other: dataclasses.replace(
            entry,
            parity=dataclasses.replace(
                entry.parity, transcript_agreement=1 - (count if other == name else 0) / entry.parity.cases
            ),
        )
        for other, entry in manifest.precisions.items()
    }
    return dataclasses.replace(manifest, precisions=precisions)


SPEEDS = {"fp16": 10.0, "fp32": 11.0, "int8": 30.0, "int8-static": 20.0}


@pytest.mark.parametrize(
    ("count", "failed", "is_written", "verdict", "following"),
    [
        (0, (), True, "ready to ship: a b matches", "sewd transcribe --model 'a b' --precision int8 "),
        (3, (), True, "check the texts: a b is within tolerance, but int8 changes 3 of ", "int8-static"),
        (
            0,
            ("int4",),
            True,
            "incomplete: a b matches the original in fp16, fp32, int8, int8-static; int4",
            "",
        ),
        (0, ("int8",), False, "do not ship: a b differs from the original in int8", "-o 'a b' --int8"),
    ],
)
def test_the_verdict_and_what_is_next(
    count: int, failed: tuple[str, ...], is_written: bool, verdict: str, following: str
) -> None:
    summary = Summary(
        path=Path("a b"),
        manifest=with_changed_texts("int8", count),
        reports=(),
        failed=dict.fromkeys(failed, "why"),
        speeds=SPEEDS,
        is_written=is_written,
    )
    first, *rows, last = str(summary).splitlines()
    assert first.startswith(verdict)
    assert last.startswith("next: ") and following in last
    [row] = [row.split() for row in rows if row.startswith("int8 ")]
    cases = summary.manifest.precisions["int8"].parity.cases
    assert [f"{cases - count}", "of", f"{cases}", "30x"] == row[4:8]
    assert ("FAILED" in row) == ("int8" in failed)


def test_a_classifier_has_labels_and_its_own_command() -> None:
    manifest = open_bundle(DATA / "tiny-classifier").manifest
    text = str(Summary(path=Path("b"), manifest=manifest, reports=(), failed={}))
    assert text.endswith("next: sewd classify --model b speech.flac")
    assert "texts" not in text and "WER" not in text
