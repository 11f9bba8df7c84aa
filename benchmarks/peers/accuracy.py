"""Errors of a variant's logits and transcripts against transformers in float32."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import errors, parity
from benchmarks.parity import Logits, transcribe
from sewd_runtime.evaluation import counting


def read_logits(path: Path) -> dict[str, NDArray[np.float32]]:
    """Return utterance → `(frames, vocab)`."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def compare(logits: Logits, reference: Logits) -> dict[str, float | int]:
    """Return the relative error over all utterances, and the share of frames with the same best label."""
    result = parity.compare(logits, reference)
    return {
        "utterances": result["utterances"],
        "relative_error": float(f"{result['relative']:.3g}"),
        "label_agreement": round(result["label_agreement"], 5),
    }


def score(
    logits: Logits, reference: Logits, *, tokens: Sequence[str], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Return word error rates by set and over all, and the share of transcripts equal to the reference's.

    about: the content of `utterances.json`.
    """
    rows = about["utterances"]
    truth = [row["text"] for row in rows]
    texts, expected = ([transcribe(each[row["key"]], tokens) for row in rows] for each in (logits, reference))
    count, before = counting.count(truth, texts), counting.count(truth, expected)
    sets = np.array([row["set"] for row in rows])
    chosen = {name: sets == name for name in dict.fromkeys(row["set"] for row in rows)}
    return {
        "words": errors.count_words(truth),
        "wer": round(count.rate, 5),
        "wer_increase": round(count.rate - before.rate, 5),
        "wer_by_set": {
            name: round(float(count.wrong[own].sum() / count.total[own].sum()), 5)
            for name, own in chosen.items()
        },
        "transcripts_equal": round(sum(a == b for a, b in zip(texts, expected, strict=True)) / len(texts), 5),
    }


def read_tokens(checkpoint: Path) -> list[str]:
    """Return a checkpoint's tokens in the order of their ids."""
    numbers: dict[str, int] = json.loads((checkpoint / "vocab.json").read_text(encoding="utf-8"))
    return sorted(numbers, key=numbers.__getitem__)
