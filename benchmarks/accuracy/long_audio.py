"""Long recordings: errors against the utterances one by one, CPU time, and words lost to segmentation."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import sewd_runtime as sewd
from benchmarks.accuracy.sections import Section
from benchmarks.markdown import table
from benchmarks.speech import (
    SAMPLE_RATE_HZ,
    Joined,
    Samples,
    Utterances,
    join,
    join_strings,
    read_fsdd,
    read_test_sets,
)
from sewd_runtime.evaluation.counting import count
from sewd_runtime.long.segmentation import Segmentation, find_regions

SEED = 0
HOUR_S = 3_600
RMS = 0.1
PAUSES = Segmentation()
WINDOWS = Segmentation(pause_s=None)
VAD = Segmentation(whole_s=0)
CHUNKS = ((10, 2), (20, 2), (30, 2), (60, 2))
QUIETER_DB = (0, 10, 20, 30)
NOISE_DB = (-80, -60, -50)
KEPT_PAUSES_S, KEPT_ROUNDS = (0.3, 1.5), 4


def read_utterances(speech: Path) -> Utterances:
    """Return the test strings of known speakers and the synthetic ones, each at a level of -20 dB."""
    sets = read_test_sets(speech)
    utterances = [*sets["known_strings"], *sets["synthetic_strings"]]
    return [(samples * np.float32(RMS / samples.std()), text) for samples, text in utterances]


def join_all(
    utterances: Utterances,
    *,
    pause_s: tuple[float, float],
    noise_db: float = -80.0,
    quieter_db: float = 0.0,
    seconds: float = 0.0,
) -> Joined:
    """Join all in random order, with pauses of random length, in white noise.

    quieter_db: each is attenuated by up to this much. seconds: repeat all until the recording is this long.
    """
    rng = np.random.default_rng(SEED)
    rounds: list[Joined] = []

    def pause() -> Samples:
        return np.zeros(round(rng.uniform(*pause_s) * SAMPLE_RATE_HZ), np.float32)

    def speak() -> Iterator[tuple[Samples, str]]:
        for index in rng.permutation(len(utterances)):
            samples, text = utterances[index]
            yield np.float32(10 ** (-rng.uniform(0, quieter_db) / 20)) * samples, text

    while sum(len(one.samples) for one in rounds) < max(1, seconds * SAMPLE_RATE_HZ):
        rounds.append(join(speak(), pause, leading=False))
    whole = join(((one.samples, one.text) for one in rounds), lambda: np.zeros(0, np.float32))
    noise = rng.standard_normal(len(whole.samples), dtype=np.float32)
    return replace(
        whole,
        samples=whole.samples + np.float32(10 ** (noise_db / 20)) * noise,
        spans=tuple(
            (start + first, start + last)
            for (start, _), one in zip(whole.spans, rounds, strict=True)
            for first, last in one.spans
        ),
    )


def count_errors(truth: str, text: str) -> dict[str, Any]:
    """Count the words, those wrong, and of these the missing ones."""
    found = count([truth], [text])
    words, wrong, missing = (int(one.sum()) for one in (found.total, found.wrong, found.deletions))
    return {"words": words, "wrong": wrong, "missing": missing, "wer": round(found.wer, 5)}


def run(recognizer: sewd.Recognizer, joined: Joined, how: Segmentation) -> dict[str, Any]:
    """Transcribe; return the errors, the length, and the CPU time per hour of audio."""
    start_s = time.process_time()
    text = recognizer.transcribe(joined.samples, segmentation=how).text
    cpu_s = time.process_time() - start_s
    audio_s = len(joined.samples) / SAMPLE_RATE_HZ
    return {
        **count_errors(joined.text, text),
        "audio_s": round(audio_s, 1),
        "cpu_s_per_hour": round(cpu_s * HOUR_S / audio_s, 1),
    }


def measure(speech: Path) -> Mapping[str, Any]:
    """Measure everything with the embedded model on one thread."""
    recognizer = sewd.Recognizer.load(threads=1)
    utterances = read_utterances(speech)
    alone = [recognizer.transcribe(samples).text for samples, _ in utterances]
    talk = join_all(utterances, pause_s=(0.0, 0.05))
    sparse = join_all(utterances, pause_s=(2.0, 10.0))
    return {
        "utterances": len(utterances),
        "one_by_one": count_errors(" ".join(text for _, text in utterances), " ".join(alone)),
        "hour": run(recognizer, join_all(utterances, pause_s=(0.2, 3.0), seconds=HOUR_S), PAUSES),
        "no_pause": [
            {
                "chunk_s": chunk_s,
                "context_s": context_s,
                **run(recognizer, talk, Segmentation(chunk_s=chunk_s, context_s=context_s)),
            }
            for chunk_s, context_s in CHUNKS
        ],
        "sparse": {
            "pauses": run(recognizer, sparse, PAUSES),
            "windows": run(recognizer, sparse, WINDOWS),
        },
        "vad": vad(recognizer, utterances, alone),
        "kept": kept(speech),
        "levels": list(levels(recognizer, utterances)),
    }


def vad(recognizer: sewd.Recognizer, utterances: Utterances, alone: Sequence[str]) -> dict[str, Any]:
    """Compare short recordings run whole and without their silence, with and without more silence around."""
    rng = np.random.default_rng(SEED)
    truth = " ".join(text for _, text in utterances)
    found: dict[str, Any] = {}
    for silence_s in (0.0, 2.0):
        noise = [
            1e-4 * rng.standard_normal(round(silence_s * SAMPLE_RATE_HZ), dtype=np.float32)
            for _ in utterances
        ]
        padded = [
            np.concatenate([quiet, samples, quiet])
            for quiet, (samples, _) in zip(noise, utterances, strict=True)
        ]
        seconds = sum(len(samples) for samples in padded) / SAMPLE_RATE_HZ
        for name, how in (("whole", PAUSES), ("vad", VAD)):
            start_s = time.process_time()
            texts = [recognizer.transcribe(samples, segmentation=how).text for samples in padded]
            cpu_s = time.process_time() - start_s
            found[f"{name}, {silence_s:g} s of silence"] = {
                **count_errors(truth, " ".join(texts)),
                "cpu_s_per_hour": round(cpu_s * HOUR_S / seconds, 1),
            }
    return found


def kept(speech: Path) -> dict[str, int]:
    """Count the words of joined real digits, and those that ``VAD`` cuts any sound off."""
    rng, counts = np.random.default_rng(SEED), {"words": 0, "cut": 0}
    for spoken in join_strings(read_fsdd(speech, "test"), KEPT_PAUSES_S, rounds=KEPT_ROUNDS):
        quiet = np.zeros(2 * SAMPLE_RATE_HZ, np.float32)
        samples = np.concatenate([quiet, spoken.samples, quiet])
        samples += 1e-4 * rng.standard_normal(len(samples), dtype=np.float32)
        is_kept = np.zeros(len(samples), dtype=bool)
        place = 0
        for part in find_regions([samples], VAD, sample_rate_hz=SAMPLE_RATE_HZ):
            place = max(place, part.begin)
            is_kept[place : place + len(part.samples)] = True
            place += len(part.samples)
        for begin, end in spoken.sounds:
            counts["words"] += 1
            counts["cut"] += not is_kept[len(quiet) + begin : len(quiet) + end].all()
    return counts


def levels(recognizer: sewd.Recognizer, utterances: Utterances) -> Iterator[dict[str, Any]]:
    """Yield the errors where some speak much quieter than others, in one recording and each alone."""
    for noise_db in NOISE_DB:
        for quieter_db in QUIETER_DB:
            joined = join_all(utterances, pause_s=(0.6, 3.0), noise_db=noise_db, quieter_db=quieter_db)
            cut = [recognizer.transcribe(joined.samples[begin:end]).text for begin, end in joined.spans]
            yield {
                "noise_db": noise_db,
                "quieter_db": quieter_db,
                "one_by_one": count_errors(joined.text, " ".join(cut)),
                **run(recognizer, joined, PAUSES),
            }


def lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the section."""
    alone, hour = figures["one_by_one"], figures["hour"]
    yield (
        f"{figures['utterances']} strings of digits, {alone['words']} words: test recordings joined, three "
        f"to six at a time, and held-out synthetic ones. One by one {alone['wrong']} words are wrong "
        f"({alone['wer']:.2%})."
    )
    yield ""
    yield (
        f"An hour of them in random order with pauses of 0.2 to 3 s and noise at -80 dB: {hour['wer']:.2%} "
        f"of {hour['words']} words wrong, {100 * (hour['wer'] - alone['wer']):+.2f} points against one by "
        f"one; {hour['cpu_s_per_hour']:.1f} s of CPU time."
    )
    yield from _lines_of_windows(figures)
    yield from _lines_of_silence(figures)


def _lines_of_windows(figures: Mapping[str, Any]) -> Iterator[str]:
    yield "\nSpeech without a pause (gaps below 50 ms), in windows:\n"
    rows = ([str(row["chunk_s"]), str(row["context_s"]), *_counts(row)] for row in figures["no_pause"])
    yield from table(("`chunk_s`", "`context_s`", *_COUNTS), rows)
    pauses, windows = figures["sparse"]["pauses"], figures["sparse"]["windows"]
    yield (
        f"\nPauses of 2 to 10 s: {pauses['wrong']} wrong split at pauses, {windows['wrong']} in windows "
        f"(`--no-pauses`); {pauses['cpu_s_per_hour']:.1f} s and {windows['cpu_s_per_hour']:.1f} s per hour."
    )


def _lines_of_silence(figures: Mapping[str, Any]) -> Iterator[str]:
    yield "\nEach string by itself, whole or without its silence (`--vad`), silence added on either side:\n"
    yield from table(("", *_COUNTS), ([name, *_counts(row)] for name, row in figures["vad"].items()))
    yield (
        f"\nOf {figures['kept']['words']} real words with known times, with pauses of 0.3 to 1.5 s between "
        f"them and 2 s of silence on either side, `--vad` cuts {figures['kept']['cut']}. The texts still "
        "differ, because silence shifts the model's normalisation."
    )
    yield "\nStrings at different levels in one recording: words wrong, of these missing, wrong one by one:\n"
    head = ("noise", *(f"0 to {-quieter} dB" if quieter else "one level" for quieter in QUIETER_DB))
    levels = {noise_db: [f"{noise_db} dB"] for noise_db in NOISE_DB}
    for row in figures["levels"]:
        cell = f"{row['wrong']}, {row['missing']}, {row['one_by_one']['wrong']}"
        levels[row["noise_db"]].append(cell)
    yield from table(head, levels.values())


_COUNTS = ("wrong", "missing", "CPU time per hour")


def _counts(row: Mapping[str, Any]) -> list[str]:
    return [str(row["wrong"]), str(row["missing"]), f"{row['cpu_s_per_hour']:.1f} s"]


SECTION = Section(name="long_audio", title="Long recordings", measure=measure, lines=lines)
