"""How much speech a second: the raw library, `sewd serve`, and other libraries behind an app, in turns."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.errors import summarise
from benchmarks.serving.clients import Answer, run_clients
from benchmarks.serving.clips import Clip
from benchmarks.serving.servers import Server
from benchmarks.speech import WORDS
from sewd_runtime import Recognizer

Run = Callable[[], list[Answer]]
"""Transcribes every clip once."""


def raw_batch(recognizer: Recognizer, clips: Sequence[Clip]) -> list[Answer]:
    """Transcribe by one call with all threads of the recognizer."""
    transcripts = recognizer.transcribe_batch([clip.path for clip in clips])
    return [
        Answer(clip=place, status=200, text=transcript.text, seconds=0.0)
        for place, transcript in enumerate(transcripts)
    ]


def raw_callers(recognizer: Recognizer, clips: Sequence[Clip], callers: int) -> list[Answer]:
    """Transcribe one by one from several threads."""

    def one(place: int) -> Answer:
        return Answer(clip=place, status=200, text=recognizer.transcribe(clips[place].path).text, seconds=0.0)

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(one, range(len(clips))))


def through(server: Server, clips: Sequence[Clip], clients: int) -> list[Answer]:
    """Transcribe by requests of so many clients at once, in a random order."""
    order = np.random.default_rng(0).permutation(len(clips)).tolist()
    return asyncio.run(run_clients(server.port, clips, order, clients))


def measure(runs: Mapping[str, Run], clips: Sequence[Clip], rounds: int) -> list[dict[str, Any]]:
    """Run everything in turns, after a round to warm up; return a row for each.

    speed: seconds of speech a second, the median of the rounds. wer: of the last round's texts.
    """
    speech_s = sum(clip.duration_s for clip in clips)
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    latest: dict[str, list[Answer]] = {}
    for number in range(rounds + 1):
        for name, run in runs.items():
            began = time.perf_counter()
            latest[name] = run()
            if number:
                speeds[name].append(speech_s / (time.perf_counter() - began))
    return [_row(name, speeds[name], latest[name], clips) for name in runs]


def _row(
    name: str, speeds: Sequence[float], answers: Sequence[Answer], clips: Sequence[Clip]
) -> dict[str, Any]:
    latencies = [answer.seconds for answer in answers if answer.seconds]
    good = [answer for answer in answers if answer.status == 200]
    percentiles = np.percentile(latencies, (50, 99)).round(3).tolist() if latencies else [None, None]
    return {
        "name": name,
        "speed": round(float(np.median(speeds)), 1),
        "speeds": [round(speed, 1) for speed in speeds],
        "errors": len(answers) - len(good),
        "p50_s": percentiles[0],
        "p99_s": percentiles[1],
        "requests_s": round(
            float(np.median(speeds)) / (sum(clip.duration_s for clip in clips) / len(clips)), 1
        ),
        **summarise(
            [clips[answer.clip].text for answer in good], [as_digits(answer.text) for answer in good]
        ),
    }


def as_digits(text: str) -> str:
    """Return a transcript in the words of the digits model: numerals spelled, without punctuation."""
    spelled = re.sub(r"\d", lambda digit: f" {WORDS[int(digit[0])]} ", text.upper())
    return " ".join(re.sub(r"[^A-Z' ]", " ", spelled).split())


def cores() -> int:
    """Return how many cores may be used."""
    return len(os.sched_getaffinity(0))
