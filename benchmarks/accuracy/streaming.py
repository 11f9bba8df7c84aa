"""Streams against recordings that run whole: errors, lag, processor time, on strings joined with pauses."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import numpy as np

from benchmarks.accuracy.sections import Section
from benchmarks.reference.augmentation import SAMPLE_RATE_HZ, Samples, resample
from benchmarks.reference.digits import SPEAKERS, WORDS, Recording, active_span, read_fsdd
from sewd_runtime import Partial, Recognizer, Streaming, Word, feed_streams, finish_streams
from sewd_runtime.long.segmentation import Segmentation

RIGHT_CONTEXTS_S = (0.5, 1.0, 2.0)
ROUNDS = 2
GAP_S, PAUSE_S = (0.05, 0.25), (0.2, 3.0)
NOISE = 1e-4  # of full scale: -80 dB
BLOCK_S = 0.04
POOLED = 32
POOLED_S = 12
SAME_WORD_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """Strings of digits of one speaker with pauses between them.

    strings: the samples of each and what is said in it. ends_s: when each word ends, by its energy.
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


def _quiet(rng: np.random.Generator, bounds_s: tuple[float, float]) -> Samples:
    return np.zeros(int(rng.uniform(*bounds_s) * SAMPLE_RATE_HZ), np.float32)


def make_talk(recordings: Sequence[Recording], rng: np.random.Generator) -> Talk:
    """Shuffle one speaker's recordings and join them three to six at a time, with pauses between strings."""
    order = [recordings[place] for place in rng.permutation(len(recordings))]
    parts, strings, ends = [_quiet(rng, PAUSE_S)], [], []
    length = len(parts[0])
    while len(order) >= 3:
        count = int(rng.integers(3, 7))
        pieces, begin = [], length
        for recording in order[:count]:
            piece = resample(recording.samples, recording.sample_rate_hz, SAMPLE_RATE_HZ)
            gap = _quiet(rng, GAP_S)
            ends.append((length + len(gap) + active_span(piece)[1]) / SAMPLE_RATE_HZ)
            pieces += [gap, piece]
            length += len(gap) + len(piece)
        pieces.append(_quiet(rng, GAP_S))
        parts += [*pieces, _quiet(rng, PAUSE_S)]
        strings.append((begin, begin + sum(map(len, pieces)), order[:count]))
        length += len(parts[-2]) + len(parts[-1])
        order = order[count:]
    samples = np.concatenate(parts)
    samples += (NOISE * rng.standard_normal(len(samples))).astype(np.float32)
    return Talk(
        samples=samples,
        strings=tuple(
            (samples[first:last], " ".join(WORDS[digit] for one in said for digit in one.digits))
            for first, last, said in strings
        ),
        ends_s=tuple(ends),
    )


def make_talks(speech: Path, *, split: str, rounds: int = ROUNDS) -> list[Talk]:
    """Make talks of every speaker's recordings of a split."""
    rng = np.random.default_rng(0)
    recordings = [one for one in read_fsdd(speech / "digits_fsdd") if one.split == split]
    return [
        make_talk([one for one in recordings if one.speaker == speaker], rng)
        for speaker in SPEAKERS
        for _ in range(rounds)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a stream said: its words, when each was committed, and every ``Partial`` with its time."""

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
    """Yield, of each word that is right, when it was committed and when first shown, after its true end."""
    [chunks] = jiwer.process_words(talk.text, heard.text).alignments
    for chunk in chunks:
        if chunk.type != "equal":
            continue
        for offset in range(chunk.ref_end_idx - chunk.ref_start_idx):
            end_s = talk.ends_s[chunk.ref_start_idx + offset]
            place = chunk.hyp_start_idx + offset
            word = heard.words[place]
            yield heard.committed_s[place] - end_s, _first_shown_s(word, heard) - end_s


def _first_shown_s(word: Word, heard: Heard) -> float:
    return next(
        at_s
        for at_s, partial in heard.partials
        for seen in (*partial.committed, *partial.pending)
        if seen.text == word.text and abs(seen.start_s - word.start_s) < SAME_WORD_S
    )


def wer(texts: Sequence[str], guesses: Sequence[str]) -> float:
    """Return the word error rate in percent."""
    return round(100 * float(jiwer.wer(list(texts), list(guesses))), 2)


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
        "wer": wer([talk.text for talk in talks], [one.text for one in heard]),
        "wer_strings": wer([text for _, text in strings], alone),
        "cpu_share": round(spent / sum(talk.duration_s for talk in talks), 4),
        "lag_s": [round(float(committed.mean()), 2), round(float(np.percentile(committed, 95)), 2)],
        "shown_s": [round(float(shown.mean()), 2), round(float(np.percentile(shown, 95)), 2)],
    }


def run_offline(recognizer: Recognizer, talks: Sequence[Talk]) -> dict[str, Any]:
    """Measure the same recordings where their end is known: talks in regions and whole, and strings."""
    strings = [string for talk in talks for string in talk.strings]
    parted, whole = (
        [
            recognizer.transcribe(talk.samples, segmentation=Segmentation(whole_s=whole_s)).text
            for talk in talks
        ]
        for whole_s in (0.0, 600.0)
    )
    alone = recognizer.transcribe_batch([samples for samples, _ in strings])
    return {
        "wer": wer([talk.text for talk in talks], parted),
        "wer_whole": wer([talk.text for talk in talks], whole),
        "wer_strings": wer([text for _, text in strings], [one.text for one in alone]),
    }


def run_pool(recognizer: Recognizer, talks: Sequence[Talk], streaming: Streaming) -> float:
    """Return the processor time over audio of each of many streams that share the model."""
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
        f"{figures['words']} words of the test recordings, joined to strings of 3 to 6 with gaps of 50 to "
        f"250 ms, and these with pauses of {PAUSE_S[0]} to {PAUSE_S[1]:g} s and noise at -80 dB: "
        f"{figures['minutes']} minutes. The word error rate is that of whole talks, and of the strings, each "
        f"a stream of its own; offline talks run as a long recording does, in regions between pauses, and "
        f"strings whole. Chunks of "
        f"{defaults['chunk_s']:g} s, {defaults['left_context_s']:g} s of left context.\n"
    )
    yield (
        "Lag: from where a word's energy ends to when it is committed, and to when it is first shown, "
        "pending (below zero: before it ends), of the words that are right, in seconds of audio, average and "
        "95th percentile; computing comes on top. CPU: processor time of one stream over its audio, one "
        "thread.\n"
    )
    yield "| precision | right context | WER, % | of strings, % | committed, s | shown, s | CPU, % |"
    yield "|---|---|---|---|---|---|---|"
    for row in figures["rows"]:
        if row["right_context_s"] is None:
            yield f"| {row['precision']} | offline | {row['wer']:.1f} | {row['wer_strings']:.1f} | | | |"
            continue
        cells = (
            row["precision"],
            f"{row['right_context_s']:g} s",
            f"{row['wer']:.1f}",
            f"{row['wer_strings']:.1f}",
            *(f"{row[name][0]:.2f}, {row[name][1]:.2f}" for name in ("lag_s", "shown_s")),
            f"{100 * row['cpu_share']:.1f}",
        )
        yield f"| {' | '.join(cells)} |"
    pooled = " and ".join(
        f"{100 * share:.1f} % in {precision}" for precision, share in figures["pooled_cpu_share"].items()
    )
    whole = " and ".join(
        f"{row['wer_whole']:.0f} % in {row['precision']}" for row in figures["rows"] if "wer_whole" in row
    )
    yield f"\nRun whole, pauses and all, the talks have {whole}: the model normalises over silence too.\n"
    yield f"{POOLED} streams fed together, as the defaults say: each takes {pooled} of a core."


SECTION = Section(name="streaming", title="Streams", measure=measure, lines=lines)
