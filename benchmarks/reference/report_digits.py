"""Write the figures of the digits model: word error rates by set, training time, machine and versions.

python -m benchmarks.reference.report_digits --speech ../shared/speech -o benchmarks/results/digits_model.json
    --checkpoint digits --work build/digits --fold-checkpoint fold --fold-work build/fold
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from transformers import SEWDForCTC

from benchmarks import machine, results
from benchmarks.reference.evaluate_digits import evaluate
from benchmarks.reference.greedy import transcribe
from benchmarks.speech import SPEAKERS, read_packaged
from sewd_runtime.system.packages import find_packages


def describe_training(work: Path) -> dict[str, Any]:
    """Return steps and wall-clock minutes from the run's log."""
    lines = [json.loads(line) for line in (work / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    last = next(line for line in reversed(lines) if "wall_s" in line)
    return {"steps": last["step"], "wall_minutes": round(last["wall_s"] / 60, 1)}


def evaluate_clips(checkpoint: Path) -> list[dict[str, str | bool]]:
    """Return what the model makes of the exporter's own clips."""
    model = SEWDForCTC.from_pretrained(checkpoint, dtype=torch.float32).eval()
    clips: list[dict[str, str | bool]] = []
    for name, (samples, text) in read_packaged().items():
        guess = transcribe(model, samples)
        clips.append({"clip": f"{name}.flac", "text": text, "transcript": guess, "right": guess == text})
    return clips


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True, help="trained on all four speakers")
    parser.add_argument("--work", type=Path, required=True, help="folder of that run's log")
    parser.add_argument("--fold-checkpoint", type=Path, help="trained without --held-out-speaker")
    parser.add_argument("--fold-work", type=Path)
    parser.add_argument("--held-out-speaker", choices=SPEAKERS, default="lucas")
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Evaluate both checkpoints and write one JSON file."""
    arguments = parse_arguments()
    report: dict[str, Any] = {
        "model": describe_training(arguments.work)
        | {"sets": evaluate(arguments.checkpoint, arguments.speech, None)}
        | {"clips": evaluate_clips(arguments.checkpoint)},
        "machine": {**machine.describe(), "note": "shared with other work during training, which slowed it"},
        "versions": find_packages(("torch", "transformers", "numpy", "scipy", "soxr")),
    }
    if arguments.fold_checkpoint:
        speaker = arguments.held_out_speaker
        sets = evaluate(arguments.fold_checkpoint, arguments.speech, speaker)
        report["fold"] = {"held_out_speaker": speaker, **describe_training(arguments.fold_work), "sets": sets}
    results.write(arguments.output, report)


if __name__ == "__main__":
    main()
