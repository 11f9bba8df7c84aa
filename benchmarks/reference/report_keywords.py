"""Write the figures of the keyword spotter: accuracy on speakers of whom nothing was trained, by precision.

python -m benchmarks.reference.report_keywords --speech ../shared/speech --work build/keywords
    --bundle keywords-bundle -o benchmarks/results/keywords_model.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, results
from benchmarks.errors import interval
from benchmarks.reference.augmentation import SAMPLE_RATE_HZ, Samples, read_mono
from benchmarks.reference.keywords import (
    COMMANDS,
    LABELS,
    NOISE,
    SILENCE,
    TEST_NOISES,
    Clip,
    read_clips,
)
from benchmarks.reference.report_digits import describe_training
from benchmarks.reference.utterances import read_transcripts, read_utterances
from sewd_runtime import Classifier
from sewd_runtime.system.packages import find_packages

SNR_DB = 10.0
BACKGROUNDS = 100  # of silence and of noise each
NOISE_LEVEL, SILENT_LEVEL = 0.03, 0.0005  # root mean square
SENTENCES_EVERY = 12  # of test-clean
ALARM_PROBABILITIES = (0.5, 0.9)


def read_noises(speech: Path) -> list[Samples]:
    """Read the noises that no training used."""
    folder = speech / "noise"
    return [
        read_mono(path) for name in TEST_NOISES for path in sorted(folder.glob(f"*{name}*")) if path.is_file()
    ]


def backgrounds(noises: Sequence[Samples], level: float, rng: np.random.Generator) -> list[Samples]:
    """Return seconds of noise at a level."""
    pieces = []
    for place in range(BACKGROUNDS):
        noise = noises[place % len(noises)]
        piece = np.resize(np.roll(noise, -int(rng.integers(len(noise)))), SAMPLE_RATE_HZ)
        pieces.append(np.asarray(piece * (level / max(float(piece.std()), 1e-6)), np.float32))
    return pieces


def in_noise(clips: Sequence[Clip], noises: Sequence[Samples], rng: np.random.Generator) -> list[Samples]:
    """Return each clip with noise at ``SNR_DB``, over the mean power of all samples."""
    noisy = []
    for place, clip in enumerate(clips):
        noise = noises[place % len(noises)]
        piece = np.resize(np.roll(noise, -int(rng.integers(len(noise)))), len(clip.samples))
        gain = clip.samples.std() / max(float(piece.std()), 1e-6) * 10 ** (-SNR_DB / 20)
        noisy.append(np.asarray(clip.samples + piece * gain, np.float32))
    return noisy


def score(
    classifier: Classifier, recordings: Sequence[Samples], truth: Sequence[int], groups: Sequence[int]
) -> dict[str, Any]:
    """Return the share of right labels in percent, all and by label; 95 % interval over groups, speakers."""
    guesses = [classifier.classify(samples).label for samples in recordings]
    wrong = np.array([guess != LABELS[label] for guess, label in zip(guesses, truth, strict=True)])
    of_group = np.array(groups)
    members = sorted({*groups})
    low, high = interval(
        np.array([wrong[of_group == one].sum() for one in members]),
        np.array([(of_group == one).sum() for one in members]),
    )
    labels = np.array(truth)
    return {
        "clips": len(truth),
        "speakers": len(members),
        "accuracy": round(100 * float(1 - wrong.mean()), 1),
        "interval": [round(100 - high, 1), round(100 - low, 1)],
        "by_label": {
            LABELS[label]: round(100 * float(1 - wrong[labels == label].mean()), 1)
            for label in sorted({*truth})
        },
    }


def false_alarms(classifier: Classifier, speech: Path) -> dict[str, Any]:
    """Return how often windows of read sentences without any command are taken for one, per hour."""
    folder = speech / "librispeech_test_clean"
    texts = read_transcripts(folder)
    free = [name for name, text in texts.items() if not {*COMMANDS} & {*text.lower().split()}]
    chosen = {name: texts[name] for name in free[::SENTENCES_EVERY]}
    alarms, seconds = dict.fromkeys(ALARM_PROBABILITIES, 0), 0.0
    for one in read_utterances(folder, chosen):
        seconds += len(one.samples) / SAMPLE_RATE_HZ
        for window in classifier.classify_windows(one.floats(), every_s=0.5):
            for probability in alarms:
                alarms[probability] += window.label in COMMANDS and window.probability >= probability
    per_hour = {str(name): round(3600 * count / seconds) for name, count in alarms.items()}
    return {"minutes": round(seconds / 60, 1), "windows_per_hour": 7200, "per_hour": per_hour}


def evaluate(classifier: Classifier, clips: Sequence[Clip], speech: Path) -> dict[str, Any]:
    """Return the scores by set."""
    rng = np.random.default_rng(0)
    noises = read_noises(speech)
    labels, speakers = [clip.label for clip in clips], [clip.speaker for clip in clips]
    places = range(BACKGROUNDS)
    return {
        "clean": score(classifier, [clip.samples for clip in clips], labels, speakers),
        "noise at 10 dB": score(classifier, in_noise(clips, noises, rng), labels, speakers),
        "noise": score(classifier, backgrounds(noises, NOISE_LEVEL, rng), [NOISE] * BACKGROUNDS, places),
        "silence": score(classifier, backgrounds(noises, SILENT_LEVEL, rng), [SILENCE] * BACKGROUNDS, places),
    }


def main() -> None:
    """Evaluate every precision of the bundle and write one JSON file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder of the run's log")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    clips = read_clips(arguments.speech, arguments.work.parent / "kept")
    test = [clip for clip in clips if clip.split == "test"]
    report: dict[str, Any] = {"training": describe_training(arguments.work), "precisions": {}}
    for precision in ("fp32", "int8"):
        classifier = Classifier.load(arguments.bundle, precision=precision, threads=1)
        report["precisions"][precision] = evaluate(classifier, test, arguments.speech)
    report["false_alarms"] = false_alarms(
        Classifier.load(arguments.bundle, precision="int8", threads=1), arguments.speech
    )
    report["machine"] = {**machine.describe(), "note": "shared with other work"}
    report["versions"] = find_packages(("torch", "transformers", "numpy", "onnxruntime"))
    results.write(arguments.output, report)


if __name__ == "__main__":
    main()
