"""Errors of every precision, clean and distorted, and their differences from float32 with intervals."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.distortions import DISTORTIONS
from benchmarks.accuracy.precisions_report import lines
from benchmarks.accuracy.sections import Section
from benchmarks.errors import as_percent, count_words, interval, summarise, wer
from benchmarks.speech import SAMPLE_RATE_HZ, Utterances, read_test_sets
from sewd_export import export
from sewd_runtime import Recognizer
from sewd_runtime.evaluation.counting import count

VARIANTS: Mapping[str, Mapping[str, str]] = {
    "fp32": {},
    "fp16": {"precision": "fp16"},
    "int8": {"precision": "int8"},
    "int8-static": {"precision": "int8-static"},
    "OpenVINO bf16": {"provider": "openvino", "precision": "bf16"},
    "OpenVINO int8-dynamic": {"provider": "openvino", "precision": "int8-dynamic"},
    "OpenVINO int8-static+bf16": {"provider": "openvino", "precision": "int8-static+bf16"},
}
"""Arguments of `load`; the others are compared with the first."""
DISTORTED = ("fp32", "int8", "OpenVINO int8-dynamic")
"""The variants that are also measured on distorted speech."""
BATCH = 16
WORST = 5


def read_sets(speech: Path) -> dict[str, Utterances]:
    """Read the strings of real and of synthetic voices."""
    found = read_test_sets(speech)
    return {
        "real strings": found["known_strings"],
        "synthetic strings, held out": found["synthetic_strings"],
    }


def measure(speech: Path) -> Mapping[str, Any]:
    """Export the model in every precision, and count its errors on every set in every condition."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        export(None, bundle, precisions=("fp32", "fp16", "int8", "int8-static"), strict=True)
        recognizers = {name: _load(bundle, options) for name, options in VARIANTS.items()}
        return {
            name: {
                "utterances": len(utterances),
                "words": count_words([text for _, text in utterances]),
                "minutes": round(sum(len(samples) for samples, _ in utterances) / SAMPLE_RATE_HZ / 60, 1),
                **_compare(recognizers, utterances),
                "distorted": {
                    condition: {
                        variant: _wer(recognizers[variant], distort(utterances)) for variant in DISTORTED
                    }
                    for condition, distort in DISTORTIONS.items()
                },
            }
            for name, utterances in read_sets(speech).items()
        }


def _load(bundle: Path, options: Mapping[str, str]) -> Recognizer:
    return Recognizer.load(bundle, threads=1, **options)  # type: ignore[arg-type]


def _transcribe(recognizer: Recognizer, utterances: Utterances) -> list[str]:
    return [recognizer.transcribe(samples).text for samples, _ in utterances]


def _wer(recognizer: Recognizer, utterances: Utterances) -> float:
    return as_percent(wer([text for _, text in utterances], _transcribe(recognizer, utterances)))


def _compare(recognizers: Mapping[str, Recognizer], utterances: Utterances) -> dict[str, Any]:
    """Return each variant's errors, how many transcripts differ in batches, and the first's worst errors."""
    truth = [text for _, text in utterances]
    transcripts, speeds = _read_in_turns(recognizers, utterances)
    first = next(iter(transcripts.values()))
    rows = {name: _row(truth, texts, first) for name, texts in transcripts.items()}
    for name, recognizer in recognizers.items():
        rows[name]["times_real_time"] = speeds[name]
        rows[name]["batches_differ"] = _differences(recognizer, utterances, transcripts[name])
    return {"variants": rows, "worst": _worst(truth, first)}


def _read_in_turns(
    recognizers: Mapping[str, Recognizer], utterances: Utterances
) -> tuple[dict[str, list[str]], dict[str, float]]:
    """Return each variant's texts, and its speed in times of real time: the median over the utterances."""
    transcripts: dict[str, list[str]] = {name: [] for name in recognizers}
    speeds: dict[str, list[float]] = {name: [] for name in recognizers}
    for samples, _ in utterances:
        for name, recognizer in recognizers.items():
            recognizer.transcribe(samples)  # a shape's first run is slower
            begun = time.perf_counter()
            transcripts[name].append(recognizer.transcribe(samples).text)
            speeds[name].append(len(samples) / SAMPLE_RATE_HZ / (time.perf_counter() - begun))
    return transcripts, {name: round(float(np.median(rates)), 1) for name, rates in speeds.items()}


def _differences(recognizer: Recognizer, utterances: Utterances, texts: Sequence[str]) -> int:
    """Count the transcripts that differ when recordings run in batches."""
    samples = [one for one, _ in utterances]
    batched = [
        transcript.text
        for begin in range(0, len(samples), BATCH)
        for transcript in recognizer.transcribe_batch(samples[begin : begin + BATCH])
    ]
    return sum(one != text for one, text in zip(batched, texts, strict=True))


def _row(truth: Sequence[str], texts: Sequence[str], reference: Sequence[str]) -> dict[str, Any]:
    """Return a variant's error rates with 95 % intervals, and its differences from the reference."""
    errors = count(truth, texts)
    more = errors.wrong - count(truth, reference).wrong
    return {
        **summarise(truth, texts),
        "difference": as_percent(more.sum() / errors.total.sum()),
        "difference_interval": interval(more, errors.total),
        "words_changed": as_percent(count(reference, texts).wrong.sum() / max(1, count_words(reference))),
        "texts_equal": as_percent(float(np.mean([a == b for a, b in zip(texts, reference, strict=True)]))),
    }


def _worst(truth: Sequence[str], texts: Sequence[str]) -> list[dict[str, str]]:
    """Return the utterances with the largest share of wrong words."""
    errors = count(truth, texts)
    order = np.argsort(-errors.wrong / np.maximum(errors.total, 1), kind="stable")[:WORST]
    return [{"said": truth[place], "heard": texts[place]} for place in order if errors.wrong[place]]


SECTION = Section(name="precisions", title="Precisions", measure=measure, lines=lines)
