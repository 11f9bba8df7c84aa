"""How far a variant is from transformers in float32, and what that does to its transcripts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Logits = Mapping[str, NDArray[np.float32]]


def read_logits(path: Path) -> dict[str, NDArray[np.float32]]:
    """Return utterance → `(frames, vocab)`."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def compare(logits: Logits, reference: Logits) -> dict[str, float | int]:
    """Return the relative error over all utterances, and the share of frames with the same best label."""
    difference = norm = 0.0
    same = frames = 0
    for key, expected in reference.items():
        found = logits[key]
        if found.shape != expected.shape:
            raise ValueError(f"utterance {key}: logits of {found.shape}, transformers gives {expected.shape}")
        if not np.isfinite(found).all():
            raise ValueError(f"utterance {key}: logits that are no numbers")
        difference += float(np.square(found - expected, dtype=np.float64).sum())
        norm += float(np.square(expected, dtype=np.float64).sum())
        same += int((found.argmax(-1) == expected.argmax(-1)).sum())
        frames += len(expected)
    return {
        "utterances": len(reference),
        "relative_error": float(f"{np.sqrt(difference / norm):.3g}"),
        "label_agreement": round(same / frames, 5),
    }


def transcribe(logits: NDArray[np.float32], tokens: Sequence[str]) -> str:
    """Return the greedy transcript; token 0 is the blank, `|` the space."""
    best = logits.argmax(-1)
    kept = best[np.insert(best[1:] != best[:-1], 0, True)] if len(best) else best
    text = "".join(tokens[index] for index in kept if index != 0)
    return " ".join(text.replace("|", " ").split())


def score(
    logits: Logits, reference: Logits, *, tokens: Sequence[str], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Return word error rates by set and over all, and the share of transcripts equal to the reference's.

    about: the content of `utterances.json`.
    """
    import jiwer

    rows = about["utterances"]
    truth = [row["text"] for row in rows]
    texts = [transcribe(logits[row["key"]], tokens) for row in rows]
    expected = [transcribe(reference[row["key"]], tokens) for row in rows]

    def wer(name: str | None, guesses: Sequence[str]) -> float:
        chosen = [i for i, row in enumerate(rows) if name in (None, row["set"])]
        return round(float(jiwer.wer([truth[i] for i in chosen], [guesses[i] for i in chosen])), 5)

    return {
        "words": sum(len(text.split()) for text in truth),
        "wer": wer(None, texts),
        "wer_increase": round(wer(None, texts) - wer(None, expected), 5),
        "wer_by_set": {name: wer(name, texts) for name in dict.fromkeys(row["set"] for row in rows)},
        "transcripts_equal": round(sum(a == b for a, b in zip(texts, expected, strict=True)) / len(texts), 5),
    }


def read_tokens(checkpoint: Path) -> list[str]:
    """Return a checkpoint's tokens in the order of their ids."""
    numbers: dict[str, int] = json.loads((checkpoint / "vocab.json").read_text(encoding="utf-8"))
    return sorted(numbers, key=numbers.__getitem__)
