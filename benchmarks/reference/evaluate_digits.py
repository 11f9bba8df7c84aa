"""Word error rate of a digits checkpoint, one unpadded utterance at a time, in float32."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
import torch
from torch import nn
from transformers import SEWDForCTC

from benchmarks.reference.augmentation import SAMPLE_RATE_HZ, Samples, resample
from benchmarks.reference.digits import SPEAKERS, WORDS, Recording, join, read_fsdd, read_kokoro
from benchmarks.reference.greedy import transcribe

Utterances = list[tuple[Samples, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Errors of one set; ``wer`` is a fraction of ``words``."""

    utterances: int
    words: int
    wer: float
    exact: float
    """Fraction of utterances without any error."""


def singles(recordings: list[Recording]) -> Utterances:
    """Each recording as it is, at 16 kHz."""
    return [
        (
            resample(recording.samples, recording.sample_rate_hz, SAMPLE_RATE_HZ),
            " ".join(WORDS[digit] for digit in recording.digits),
        )
        for recording in recordings
    ]


def strings(recordings: list[Recording], *, seed: int = 0, rounds: int = 1) -> Utterances:
    """Each speaker's recordings shuffled ``rounds`` times and joined three to six at a time."""
    rng = np.random.default_rng(seed)
    utterances: Utterances = []
    for speaker in sorted({recording.speaker for recording in recordings}):
        own = [recording for recording in recordings if recording.speaker == speaker]
        for _ in range(rounds):
            order = [own[index] for index in rng.permutation(len(own))]
            while len(order) >= 3:
                count = int(rng.integers(3, 7))
                utterances.append(join(order[:count], rng))
                order = order[count:]
    return utterances


def score(model: nn.Module, utterances: Utterances) -> Score:
    """Transcribe everything and count word errors."""
    truth = [text for _, text in utterances]
    guesses = [transcribe(model, samples) for samples, _ in utterances]
    return Score(
        utterances=len(truth),
        words=sum(len(text.split()) for text in truth),
        wer=round(float(jiwer.wer(truth, guesses)), 5),
        exact=round(sum(a == b for a, b in zip(truth, guesses, strict=True)) / len(truth), 5),
    )


def final_sets(speech: Path, held_out_speaker: str | None) -> dict[str, Utterances]:
    """Every set of the report: test recordings of known speakers, all of a held-out speaker's, synthetic."""
    recordings = read_fsdd(speech / "digits_fsdd")
    known = [one for one in recordings if one.split == "test" and one.speaker != held_out_speaker]
    sets = {"known_singles": singles(known), "known_strings": strings(known, rounds=4)}
    for speaker in SPEAKERS:
        if speaker == held_out_speaker:
            unheard = [one for one in recordings if one.speaker == speaker]
            sets["unheard_singles"] = singles(unheard)
            sets["unheard_strings"] = strings(unheard)
        else:
            sets[f"known_strings_{speaker}"] = strings(
                [one for one in known if one.speaker == speaker], rounds=4
            )
    synthetic = [one for one in read_kokoro(speech / "digits_kokoro") if one.split == "test"]
    sets["synthetic_strings"] = singles(synthetic)
    return sets


def main() -> None:
    """Print one JSON object: set name to score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "--speech", type=Path, required=True, help="folder with digits_fsdd and digits_kokoro"
    )
    parser.add_argument("--held-out-speaker", choices=SPEAKERS)
    arguments = parser.parse_args()
    model = SEWDForCTC.from_pretrained(arguments.checkpoint, dtype=torch.float32).eval()
    scores = {
        name: score(model, utterances)
        for name, utterances in final_sets(arguments.speech, arguments.held_out_speaker).items()
    }
    print(json.dumps({name: {k: getattr(s, k) for k in s.__slots__} for name, s in scores.items()}, indent=2))


if __name__ == "__main__":
    main()
