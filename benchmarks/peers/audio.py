"""The audio of a comparison: clips to time, utterances to score, utterances for calibration.

Without the shared recordings the package's own clips are scored and calibrate; the results say so.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float32]

ROOT = Path(__file__).parents[2]
PACKAGED = ROOT / "export/sewd_export/speech"
SAMPLE_RATE_HZ = 16_000
SCORED = ("known_singles", "known_strings", "synthetic_strings")
CALIBRATION_COUNT = 128


def read_packaged() -> list[tuple[Samples, str]]:
    """Return the package's own clips, all at 16 kHz, and what is said in them."""
    with (PACKAGED / "transcripts.tsv").open(encoding="utf-8") as file:
        return [
            (soundfile.read(PACKAGED / name, dtype="float32")[0], text)
            for name, text in csv.reader(file, delimiter="\t")
        ]


def cut_clips(speech: Sequence[Samples], lengths_s: Sequence[float]) -> dict[str, Samples]:
    """Return one clip of each length, the recordings one after the other and again until it is full."""
    joined = np.concatenate(speech)
    return {
        f"{length_s:g}": np.resize(joined, round(length_s * SAMPLE_RATE_HZ)).astype(np.float32)
        for length_s in lengths_s
    }


def _shared(speech: Path) -> tuple[dict[str, list[tuple[Samples, str]]], list[Samples]]:
    """Return the scored sets, and utterances of the training split to calibrate with."""
    sys.path.insert(0, str(ROOT / "benchmarks/reference"))
    from benchmarks.reference.digits import read_fsdd
    from benchmarks.reference.evaluate_digits import final_sets, strings

    sets = final_sets(speech, None)
    training = [one for one in read_fsdd(speech / "digits_fsdd") if one.split == "train"]
    joined = strings(training)
    order = np.random.default_rng(0).permutation(len(joined))  # of all speakers
    return {name: sets[name] for name in SCORED}, [joined[i][0] for i in order[:CALIBRATION_COUNT]]


def write(folder: Path, *, speech: Path, clips_s: Sequence[float], limit: int | None) -> None:
    """Write `clips`, `utterances` and `calibration` as `.npz`; `utterances.json` says what they are."""
    packaged = read_packaged()
    if (speech / "digits_fsdd").is_dir():
        sets, calibration = _shared(speech)
        source = "digits_fsdd test split and digits_kokoro held-out strings"
    else:
        sets, calibration = {"packaged": packaged}, [samples for samples, _ in packaged]
        source = "the clips of the package only: too few for an error rate, and calibrated on themselves"
    rows: list[dict[str, str]] = []
    arrays: dict[str, Samples] = {}
    for name, utterances in sets.items():
        for samples, text in utterances[:limit]:
            key = str(len(rows))
            rows.append({"key": key, "set": name, "text": text})
            arrays[key] = samples.astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "clips.npz", **cut_clips([samples for samples, _ in packaged], clips_s))
    np.savez(folder / "utterances.npz", **arrays)
    np.savez(folder / "calibration.npz", **{str(i): one for i, one in enumerate(calibration)})
    minutes = sum(map(len, arrays.values())) / SAMPLE_RATE_HZ / 60
    about = {"source": source, "minutes": round(minutes, 1), "calibration_utterances": len(calibration)}
    (folder / "utterances.json").write_text(json.dumps({**about, "utterances": rows}), encoding="utf-8")


def main() -> None:
    """Write the audio."""
    parser = argparse.ArgumentParser(description="Write the audio of a comparison.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--clips", type=float, nargs="+", required=True)
    parser.add_argument("--limit", type=int, help="utterances of each set")
    arguments = parser.parse_args()
    write(arguments.folder, speech=arguments.speech, clips_s=arguments.clips, limit=arguments.limit)


if __name__ == "__main__":
    main()
