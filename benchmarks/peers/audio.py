"""The audio of a comparison: clips to time, utterances to score, utterances for calibration.

Without the shared recordings, scoring and calibration use the package's own clips; the results say so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.speech import (
    SAMPLE_RATE_HZ,
    Samples,
    Utterances,
    read_fsdd,
    read_packaged,
    read_test_sets,
    strings,
)

SCORED = ("known_singles", "known_strings", "synthetic_strings")
CALIBRATION_COUNT = 128


def cut_clips(speech: Sequence[Samples], lengths_s: Sequence[float]) -> dict[str, Samples]:
    """Return one clip of each length: the recordings one after another, repeated until it is full."""
    joined = np.concatenate(speech)
    return {
        f"{length_s:g}": np.resize(joined, round(length_s * SAMPLE_RATE_HZ)).astype(np.float32)
        for length_s in lengths_s
    }


def _shared(speech: Path) -> tuple[dict[str, Utterances], list[Samples]]:
    """Return the scored sets, and utterances of the training split for calibration."""
    sets = read_test_sets(speech)
    training = strings(read_fsdd(speech, "train"))
    order = np.random.default_rng(0).permutation(len(training))  # of all speakers
    return {name: sets[name] for name in SCORED}, [training[i][0] for i in order[:CALIBRATION_COUNT]]


def write(folder: Path, *, speech: Path, clips_s: Sequence[float], limit: int | None) -> None:
    """Write `clips`, `utterances` and `calibration` as `.npz`; `utterances.json` says what they are."""
    packaged = list(read_packaged().values())
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
