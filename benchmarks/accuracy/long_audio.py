"""Long recordings: errors against the utterances one by one, what silence costs, which words it swallows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import numpy as np

import sewd_runtime as sewd
from benchmarks.accuracy.sections import Section
from benchmarks.accuracy.times import strings
from benchmarks.reference.digits import read_fsdd
from benchmarks.reference.evaluate_digits import final_sets
from sewd_runtime._types import Samples
from sewd_runtime.long.segmentation import Segmentation, find_regions

RATE_HZ = 16_000
SEED = 0
HOUR_S = 3_600
RMS = 0.1
PAUSES = Segmentation()
WINDOWS = Segmentation(pause_s=None)
VAD = Segmentation(whole_s=0)
CHUNKS = ((10, 2), (20, 2), (30, 2), (60, 2))
QUIETER_DB = (0, 10, 20, 30)
NOISE_DB = (-80, -60, -50)
KEPT_PAUSES_S = (0.3, 1.5)

Utterances = Sequence[tuple[Samples, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Utterances in one recording. spans: from which sample to which each is."""

    samples: Samples
    text: str
    spans: Sequence[tuple[int, int]]


def read_utterances(speech: Path) -> Utterances:
    """Return the test strings of known speakers and the synthetic ones, each at a level of -20 dB."""
    sets = final_sets(speech, None)
    utterances = [*sets["known_strings"], *sets["synthetic_strings"]]
    return [(samples * np.float32(RMS / samples.std()), text) for samples, text in utterances]


def join(
    utterances: Utterances,
    *,
    pause_s: tuple[float, float],
    noise_db: float = -80.0,
    quieter_db: float = 0.0,
    seconds: float = 0.0,
) -> Joined:
    """Join all in a random order, with pauses drawn from a range, in white noise.

    quieter_db: each is so much quieter at most, drawn as well. seconds: as many rounds as give so much.
    """
    rng = np.random.default_rng(SEED)
    parts: list[Samples] = []
    texts: list[str] = []
    spans: list[tuple[int, int]] = []
    length = 0
    while not parts or length < seconds * RATE_HZ:
        for index in rng.permutation(len(utterances)):
            samples, text = utterances[index]
            gain = np.float32(10 ** (-rng.uniform(0, quieter_db) / 20))
            parts += [gain * samples, np.zeros(round(rng.uniform(*pause_s) * RATE_HZ), np.float32)]
            texts.append(text)
            spans.append((length, length + len(samples)))
            length += len(parts[-2]) + len(parts[-1])
    noise = rng.standard_normal(length, dtype=np.float32)
    loud = np.float32(10 ** (noise_db / 20))
    return Joined(samples=np.concatenate(parts) + loud * noise, text=" ".join(texts), spans=spans)


def count_errors(truth: str, text: str) -> dict[str, Any]:
    """Count the wrong words, and of these the ones that are missing."""
    found = jiwer.process_words(truth, text)
    wrong = found.substitutions + found.deletions + found.insertions
    words = found.hits + found.substitutions + found.deletions
    return {"words": words, "wrong": wrong, "missing": found.deletions, "wer": round(wrong / words, 5)}


def run(recognizer: sewd.Recognizer, joined: Joined, how: Segmentation) -> dict[str, Any]:
    """Transcribe; return the errors, the processor time and that for an hour of it."""
    start_s = time.process_time()
    text = recognizer.transcribe(joined.samples, segmentation=how).text
    cpu_s = time.process_time() - start_s
    audio_s = len(joined.samples) / RATE_HZ
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
    talk = join(utterances, pause_s=(0.0, 0.05))
    sparse = join(utterances, pause_s=(2.0, 10.0))
    return {
        "utterances": len(utterances),
        "one_by_one": count_errors(" ".join(text for _, text in utterances), " ".join(alone)),
        "hour": run(recognizer, join(utterances, pause_s=(0.2, 3.0), seconds=HOUR_S), PAUSES),
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
    """Compare short recordings run whole with the same ones reduced to speech, with and without silence."""
    rng = np.random.default_rng(SEED)
    truth = " ".join(text for _, text in utterances)
    found: dict[str, Any] = {}
    for silence_s in (0.0, 2.0):
        noise = [1e-4 * rng.standard_normal(round(silence_s * RATE_HZ), dtype=np.float32) for _ in utterances]
        padded = [
            np.concatenate([quiet, samples, quiet])
            for quiet, (samples, _) in zip(noise, utterances, strict=True)
        ]
        seconds = sum(len(samples) for samples in padded) / RATE_HZ
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
    """Count the words, and those of whose sound ``VAD`` leaves anything out: real digits, joined."""
    recordings = [one for one in read_fsdd(speech / "digits_fsdd") if one.split == "test"]
    rng, counts = np.random.default_rng(SEED), {"words": 0, "cut": 0}
    for spoken in strings(recordings, KEPT_PAUSES_S):
        quiet = np.zeros(2 * RATE_HZ, np.float32)
        samples = np.concatenate([quiet, spoken.samples, quiet])
        samples += 1e-4 * rng.standard_normal(len(samples), dtype=np.float32)
        is_kept = np.zeros(len(samples), dtype=bool)
        place = 0
        for part in find_regions([samples], VAD, sample_rate_hz=RATE_HZ):
            place = max(place, part.begin)
            is_kept[place : place + len(part.samples)] = True
            place += len(part.samples)
        for begin_s, end_s in spoken.sounds:
            begin, end = (len(quiet) + round(edge_s * RATE_HZ) for edge_s in (begin_s, end_s))
            counts["words"] += 1
            counts["cut"] += not is_kept[begin:end].all()
    return counts


def levels(recognizer: sewd.Recognizer, utterances: Utterances) -> Iterator[dict[str, Any]]:
    """Yield the errors where some speak much quieter than others, in pauses and with each one alone."""
    for noise_db in NOISE_DB:
        for quieter_db in QUIETER_DB:
            joined = join(utterances, pause_s=(0.6, 3.0), noise_db=noise_db, quieter_db=quieter_db)
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
        f"An hour of them in random orders with pauses of 0.2 to 3 s, noise at -80 dB: {hour['wer']:.2%} of "
        f"{hour['words']} words wrong, {100 * (hour['wer'] - alone['wer']):+.2f} points against one by one; "
        f"{hour['cpu_s_per_hour']:.1f} s of processor time for an hour."
    )
    yield from _lines_of_windows(figures)
    yield from _lines_of_silence(figures)


def _lines_of_windows(figures: Mapping[str, Any]) -> Iterator[str]:
    yield "\nSpeech without a pause (gaps below 50 ms), in windows:\n"
    yield "| `chunk_s` | `context_s` | wrong | missing | processor time for an hour |"
    yield "|---|---|---|---|---|"
    for row in figures["no_pause"]:
        yield (
            f"| {row['chunk_s']} | {row['context_s']} | {row['wrong']} | {row['missing']} | "
            f"{row['cpu_s_per_hour']:.1f} s |"
        )
    pauses, windows = figures["sparse"]["pauses"], figures["sparse"]["windows"]
    yield (
        f"\nPauses of 2 to 10 s: {pauses['wrong']} wrong parted in pauses, {windows['wrong']} in windows "
        f"(`--no-pauses`); {pauses['cpu_s_per_hour']:.1f} s and {windows['cpu_s_per_hour']:.1f} s an hour."
    )


def _lines_of_silence(figures: Mapping[str, Any]) -> Iterator[str]:
    yield "\nEach string by itself, whole or reduced to speech (`--vad`), silence added on either side:\n"
    yield "| | wrong | missing | processor time for an hour |"
    yield "|---|---|---|---|"
    for name, row in figures["vad"].items():
        yield f"| {name} | {row['wrong']} | {row['missing']} | {row['cpu_s_per_hour']:.1f} s |"
    yield (
        f"\nOf {figures['kept']['words']} real words with known times, with pauses of 0.3 to 1.5 s between "
        f"them and 2 s of silence on either side, `--vad` cuts {figures['kept']['cut']}. Texts differ all "
        "the same: the model normalises over what it hears."
    )
    yield "\nStrings at different levels in one recording: words wrong, of these missing, wrong one by one:\n"
    yield (
        "| noise | "
        + " | ".join(f"0 to {-quieter} dB" if quieter else "one level" for quieter in QUIETER_DB)
        + " |"
    )
    yield "|---|" + "---|" * len(QUIETER_DB)
    for noise_db in NOISE_DB:
        row = [each for each in figures["levels"] if each["noise_db"] == noise_db]
        cells = " | ".join(
            f"{each['wrong']}, {each['missing']}, {each['one_by_one']['wrong']}" for each in row
        )
        yield f"| {noise_db} dB | {cells} |"


SECTION = Section(name="long_audio", title="Long recordings", measure=measure, lines=lines)
