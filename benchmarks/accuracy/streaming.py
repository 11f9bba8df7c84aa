"""Streams against offline recognition: errors, lag and CPU time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.sections import Section
from benchmarks.errors import as_percent, match, wer
from benchmarks.markdown import table
from benchmarks.speech import (
    GAP_S,
    SAMPLE_RATE_HZ,
    SPEAKERS,
    Recording,
    Samples,
    join,
    read_fsdd,
    shuffle,
    silence,
    singles,
)
from sewd_runtime import Partial, Recognizer, Streaming, Word, feed_streams, finish_streams
from sewd_runtime.long.segmentation import Segmentation

RIGHT_CONTEXTS_S = (0.5, 1.0, 2.0)
ROUNDS = 2
PAUSE_S = (0.2, 3.0)
NOISE = 1e-4  # of full scale: -80 dB
BLOCK_S = 0.04
POOLED = 32
POOLED_S = 12
SAME_WORD_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """Strings of digits of one speaker with pauses between them.

    strings: samples and text of each. ends_s: when each word ends, by its energy.
    """

    samples: Samples
    strings: tuple[tuple[Samples, str], ...]
    ends_s: tuple[float, ...]

    @property
    def text(self) -> str:
        """What is said in all of it."""
        return " ".join(text for _, text in self.strings)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ


def make_talk(recordings: Sequence[Recording], rng: np.random.Generator) -> Talk:
    """Shuffle one speaker's recordings and join them three to six at a time, with pauses between strings."""
    groups, joined = shuffle(recordings, rng), []

    def speak() -> Iterator[tuple[Samples, str]]:
        for group in groups:
            joined.append(join(singles(group), silence(rng, GAP_S)))
            yield joined[-1].samples, joined[-1].text

    talk = join(speak(), silence(rng, PAUSE_S))
    samples = talk.samples + (NOISE * rng.standard_normal(len(talk.samples))).astype(np.float32)
    strings = [(first, last, one) for (first, last), one in zip(talk.spans, joined, strict=True)]
    return Talk(
        samples=samples,
        strings=tuple((samples[first:last], one.text) for first, last, one in strings),
        ends_s=tuple((first + end) / SAMPLE_RATE_HZ for first, _, one in strings for _, end in one.sounds),
    )


def make_talks(speech: Path, *, split: str, rounds: int = ROUNDS) -> list[Talk]:
    """Make talks of every speaker's recordings of a split."""
    rng = np.random.default_rng(0)
    recordings = read_fsdd(speech, split)
    return [
        make_talk([one for one in recordings if one.speaker == speaker], rng)
        for speaker in SPEAKERS
        for _ in range(rounds)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The output of a stream: its words, when each was committed, and every ``Partial`` with its time."""

    words: list[Word]
    committed_s: list[float]
    partials: list[tuple[float, Partial]]

    @property
    def text(self) -> str:
        """The text of all words."""
        return " ".join(word.text for word in self.words)


def hear(recognizer: Recognizer, samples: Samples, streaming: Streaming) -> Heard:
    """Feed samples as a microphone would; times are of the audio fed, as if computing took none."""
    stream = recognizer.stream(streaming=streaming)
    size = round(BLOCK_S * SAMPLE_RATE_HZ)
    partials = []
    for first in range(0, len(samples), size):
        block = samples[first : first + size]
        partials.append(((first + len(block)) / SAMPLE_RATE_HZ, stream.feed(block)))
    partials.append((len(samples) / SAMPLE_RATE_HZ, stream.finish()))
    pairs = [(word, at_s) for at_s, partial in partials for word in partial.committed]
    return Heard(
        words=[word for word, _ in pairs],
        committed_s=[at_s for _, at_s in pairs],
        partials=partials,
    )


def lags(talk: Talk, heard: Heard) -> Iterator[tuple[float, float]]:
    """Yield when each word that is right was committed and first shown, in seconds after its true end."""
    for said, place in match(talk.text.split(), heard.text.split()):
        word, end_s = heard.words[place], talk.ends_s[said]
        yield heard.committed_s[place] - end_s, _first_shown_s(word, heard) - end_s


def _first_shown_s(word: Word, heard: Heard) -> float:
    return next(
        at_s
        for at_s, partial in heard.partials
        for seen in (*partial.committed, *partial.pending)
        if seen.text == word.text and abs(seen.start_s - word.start_s) < SAME_WORD_S
    )


def run_streams(recognizer: Recognizer, talks: Sequence[Talk], streaming: Streaming) -> dict[str, Any]:
    """Measure one setting on whole talks, and on their strings each as a stream of its own."""
    began = time.process_time()
    heard = [hear(recognizer, talk.samples, streaming) for talk in talks]
    spent = time.process_time() - began
    committed, shown = np.array(
        [pair for talk, one in zip(talks, heard, strict=True) for pair in lags(talk, one)]
    ).T
    strings = [string for talk in talks for string in talk.strings]
    alone = [hear(recognizer, samples, streaming).text for samples, _ in strings]
    return {
        "wer": as_percent(wer([talk.text for talk in talks], [one.text for one in heard])),
        "wer_strings": as_percent(wer([text for _, text in strings], alone)),
        "cpu_share": round(spent / sum(talk.duration_s for talk in talks), 4),
        "lag_s": _summarise(committed),
        "shown_s": _summarise(shown),
    }


def _summarise(lags_s: NDArray[np.float64]) -> list[float]:
    """Return the mean and the 95th percentile."""
    return [round(float(lags_s.mean()), 2), round(float(np.percentile(lags_s, 95)), 2)]


def run_offline(recognizer: Recognizer, talks: Sequence[Talk]) -> dict[str, Any]:
    """Measure the same recordings offline: talks split at pauses and whole, and strings."""
    strings = [string for talk in talks for string in talk.strings]
    truth = [talk.text for talk in talks]
    rates = []
    for whole_s in (0.0, 600.0):
        how = Segmentation(whole_s=whole_s)
        texts = [recognizer.transcribe(talk.samples, segmentation=how).text for talk in talks]
        rates.append(as_percent(wer(truth, texts)))
    alone = recognizer.transcribe_batch([samples for samples, _ in strings])
    strings_wer = wer([text for _, text in strings], [one.text for one in alone])
    return {"wer": rates[0], "wer_whole": rates[1], "wer_strings": as_percent(strings_wer)}


def run_pool(recognizer: Recognizer, talks: Sequence[Talk], streaming: Streaming) -> float:
    """Return the CPU time over audio of each of many streams that share the model."""
    random = np.random.default_rng(1)
    size, length = round(BLOCK_S * SAMPLE_RATE_HZ), POOLED_S * SAMPLE_RATE_HZ
    parts = []
    for number in range(POOLED):
        samples = talks[number % len(talks)].samples
        first = int(random.integers(0, len(samples) - length))
        parts.append(samples[first : first + length])
    streams = [recognizer.stream(streaming=streaming) for _ in parts]
    began = time.process_time()
    for first in range(0, length, size):
        feed_streams(streams, [part[first : first + size] for part in parts])
    finish_streams(streams)
    return round((time.process_time() - began) / (POOLED * POOLED_S), 4)


def measure(speech: Path) -> dict[str, Any]:
    """Measure every amount of right context in float32 and int8."""
    talks = make_talks(speech, split="test")
    rows, pooled = [], {}
    for precision in ("fp32", "int8"):
        recognizer = Recognizer.load(precision=precision, threads=1)
        rows.append({"precision": precision, "right_context_s": None, **run_offline(recognizer, talks)})
        for right_context_s in RIGHT_CONTEXTS_S:
            streaming = Streaming(right_context_s=right_context_s)
            found = run_streams(recognizer, talks, streaming)
            rows.append({"precision": precision, "right_context_s": right_context_s, **found})
        pooled[precision] = run_pool(recognizer, talks, Streaming())
    return {
        "words": sum(len(talk.ends_s) for talk in talks),
        "minutes": round(sum(talk.duration_s for talk in talks) / 60, 1),
        "defaults": {name: getattr(Streaming(), name) for name in Streaming.__slots__},
        "rows": rows,
        "pooled_cpu_share": pooled,
    }


def lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the section."""
    defaults = figures["defaults"]
    yield (
        f"{figures['words']} words of the test recordings: strings of 3 to 6 words with gaps of 50 to 250 "
        f"ms, and talks that join these with pauses of {PAUSE_S[0]} to {PAUSE_S[1]:g} s and noise at -80 dB, "
        f"{figures['minutes']} minutes. WER is for whole talks, and for the strings, each a stream of its "
        f"own. Offline, talks are split at pauses like long recordings, and strings run whole. Chunks of "
        f"{defaults['chunk_s']:g} s, {defaults['left_context_s']:g} s of left context.\n"
    )
    yield (
        "Lag: from the end of a word's energy until it is committed, and until it is first shown as pending "
        "(below zero: before the word ends), for words that are right, in seconds of audio, mean and 95th "
        "percentile. Computing time comes on top. CPU: CPU time of one stream over its audio, one thread.\n"
    )
    head = ("precision", "right context", "WER, %", "WER of strings, %", "committed, s", "shown, s", "CPU, %")
    yield from table(head, map(_cells, figures["rows"]))
    pooled = " and ".join(
        f"{100 * share:.1f} % in {precision}" for precision, share in figures["pooled_cpu_share"].items()
    )
    whole = " and ".join(
        f"{row['wer_whole']:.0f} % in {row['precision']}" for row in figures["rows"] if "wer_whole" in row
    )
    yield f"\nRun whole, the talks have a WER of {whole}: silence shifts the model's normalisation.\n"
    yield f"{POOLED} streams fed together with the defaults: each takes {pooled} of a core."


def _cells(row: Mapping[str, Any]) -> list[str]:
    rates = [f"{row['wer']:.1f}", f"{row['wer_strings']:.1f}"]
    if row["right_context_s"] is None:
        return [row["precision"], "offline", *rates, "", "", ""]
    lags_s = [f"{row[name][0]:.2f}, {row[name][1]:.2f}" for name in ("lag_s", "shown_s")]
    return [
        row["precision"],
        f"{row['right_context_s']:g} s",
        *rates,
        *lags_s,
        f"{100 * row['cpu_share']:.1f}",
    ]


SECTION = Section(name="streaming", title="Streams", measure=measure, lines=lines)
