"""Word error rate of a digits checkpoint, one unpadded utterance at a time, in float32."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import SEWDForCTC

from benchmarks import errors
from benchmarks.reference.greedy import transcribe
from benchmarks.speech import SPEAKERS, Utterances, read_commands, read_test_sets, singles


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Errors of one set; ``wer`` is a share of ``words``."""

    utterances: int
    words: int
    wer: float
    exact: float
    """Share of utterances without any error."""


def score(model: nn.Module, utterances: Utterances) -> Score:
    """Transcribe everything and count word errors."""
    truth = [text for _, text in utterances]
    guesses = [transcribe(model, samples) for samples, _ in utterances]
    return Score(
        utterances=len(truth),
        words=errors.count_words(truth),
        wer=round(errors.wer(truth, guesses), 5),
        exact=round(sum(a == b for a, b in zip(truth, guesses, strict=True)) / len(truth), 5),
    )


def evaluate(checkpoint: Path, speech: Path, held_out_speaker: str | None) -> dict[str, dict[str, Any]]:
    """Return the scores of a checkpoint by set; its float16 weights run in float32."""
    model = SEWDForCTC.from_pretrained(checkpoint, dtype=torch.float32).eval()
    sets = read_test_sets(speech, held_out_speaker)
    sets["unheard_commands"] = singles(read_commands(speech, "test"))
    return {name: asdict(score(model, utterances)) for name, utterances in sets.items()}


def main() -> None:
    """Print one JSON object: set name to score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "--speech", type=Path, required=True, help="folder with digits_fsdd and digits_kokoro"
    )
    parser.add_argument("--held-out-speaker", choices=SPEAKERS)
    arguments = parser.parse_args()
    scores = evaluate(arguments.checkpoint, arguments.speech, arguments.held_out_speaker)
    print(json.dumps(scores, indent=2))


if __name__ == "__main__":
    main()
