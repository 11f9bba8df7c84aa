"""Write the figures of the digits model: word error rates by set, training time, machine and versions.

python -m benchmarks.reference.report_digits --speech ../shared/speech -o benchmarks/results/digits_model.json
    --checkpoint digits --work build/digits --fold-checkpoint fold --fold-work build/fold
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers import SEWDForCTC

from benchmarks.reference.augmentation import read_mono
from benchmarks.reference.digits import SPEAKERS
from benchmarks.reference.evaluate_digits import final_sets, score
from benchmarks.reference.greedy import transcribe

INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd")


def describe_machine() -> dict[str, Any]:
    """Cores, instructions that matter here, and memory; nothing that identifies the machine."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        flags = set()
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        "note": "shared with other work during training, which slowed it",
    }


def describe_training(work: Path) -> dict[str, Any]:
    """Steps and wall minutes from the run's log."""
    lines = [json.loads(line) for line in (work / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    last = next(line for line in reversed(lines) if "wall_s" in line)
    return {"steps": last["step"], "wall_minutes": round(last["wall_s"] / 60, 1)}


def evaluate(checkpoint: Path, speech: Path, held_out_speaker: str | None) -> Mapping[str, Any]:
    """Scores by set of one checkpoint, float16 weights run in float32."""
    model = SEWDForCTC.from_pretrained(checkpoint, dtype=torch.float32).eval()
    return {name: asdict(score(model, found)) for name, found in final_sets(speech, held_out_speaker).items()}


def evaluate_clips(checkpoint: Path, clips: Path) -> list[dict[str, str | bool]]:
    """What the model makes of the repository's own sample clips."""
    model = SEWDForCTC.from_pretrained(checkpoint, dtype=torch.float32).eval()
    found: list[dict[str, str | bool]] = []
    with (clips / "transcripts.tsv").open(encoding="utf-8") as file:
        for name, text in csv.reader(file, delimiter="\t"):
            guess = transcribe(model, read_mono(clips / name))
            found.append({"clip": name, "text": text, "transcript": guess, "right": guess == text})
    return found


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
    parser.add_argument("--clips", type=Path, default=Path("export/sewd_export/speech"))
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Evaluate everything and write one JSON file."""
    arguments = parse_arguments()
    report: dict[str, Any] = {
        "model": describe_training(arguments.work)
        | {"sets": evaluate(arguments.checkpoint, arguments.speech, None)}
        | {"clips": evaluate_clips(arguments.checkpoint, arguments.clips)},
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("torch", "transformers", "numpy", "scipy", "soxr")},
    }
    if arguments.fold_checkpoint:
        speaker = arguments.held_out_speaker
        sets = evaluate(arguments.fold_checkpoint, arguments.speech, speaker)
        report["fold"] = {"held_out_speaker": speaker, **describe_training(arguments.fold_work), "sets": sets}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    temporary = arguments.output.with_suffix(".part")
    temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    temporary.replace(arguments.output)


if __name__ == "__main__":
    main()
