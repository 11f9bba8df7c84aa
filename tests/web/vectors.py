"""What Python computes, as JSON for vectors.mjs: from random emissions, and from shipped recordings."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from sewd_runtime import Recognizer, Streaming, Transcript, Word, as_srt, as_vtt, read_audio
from sewd_runtime.bundle.manifest import CtcEntry, Manifest
from sewd_runtime.decode import Greedy, log_softmax
from sewd_runtime.long.segmentation import SEGMENTATION, find_regions
from sewd_runtime.long.steps import WindowGroups
from sewd_runtime.long.windows import Stitcher
from sewd_runtime.streaming.chunking import Chunker
from sewd_runtime.streaming.committing import Committer
from sewd_runtime.text.formats import as_text
from sewd_runtime.text.frames import FrameClock
from sewd_runtime.text.transcript import Segment
from sewd_runtime.text.vocabulary import Vocabulary

CLIPS = sorted((Path(__file__).parents[2] / "export/sewd_export/speech").glob("*.flac"))

Json = dict[str, Any]

STRIDE, RATE_HZ = 320, 16_000
STREAMINGS = (Streaming(), Streaming(chunk_s=0.2, right_context_s=0.3, left_context_s=1.0, margin_s=0.1))
RESAMPLED = {(48_000, 16_000): 1e-3, (44_100, 16_000): 1e-3, (8_000, 16_000): 1e-2}
"""Rates, and the largest difference from soxr for recordings of speech, relative to its power."""


def make_vectors(digits: Recognizer) -> Json:
    """Return vectors of every kind."""
    rng = np.random.default_rng(7)
    clips = [read_audio(path) for path in CLIPS]
    talk = np.concatenate([part for clip in clips[:3] for part in (clip, np.zeros(14_000, np.float32))])
    talk = talk + rng.normal(0, 1e-3, len(talk)).astype(np.float32)
    return {
        "decoding": list(_decoding(rng)),
        "softmax": [_softmax(rng)],
        "recordings": [_recording(digits, clip) for clip in clips],
        "streams": [_stream(digits.manifest, one, talk, rng) for one in STREAMINGS],
        "long": [_long(digits, clips, rng)],
        "subtitles": list(_subtitles(rng)),
        "resampling": [_resampling(clips[0], *rates, error) for rates, error in RESAMPLED.items()],
    }


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array, np.float32).tobytes()).decode()


def _vocabularies() -> Iterator[Json]:
    letters = {token: place for place, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEF'"])}
    ctc = {
        "blank_id": 0,
        "unknown_token": "<unk>",
        "word_delimiter": "|",
        "do_lower_case": False,
        "clean_up_spaces": False,
    }
    yield {"tokens": letters, "ctc": ctc, "num_outputs": 12}
    yield {
        "tokens": letters,
        "ctc": {**ctc, "do_lower_case": True, "clean_up_spaces": True},
        "num_outputs": 15,
    }
    unspaced = {"<pad>": 0, "東": 1, "京": 2, "都": 3, "。": 4, "が": 5, "A": 6}
    yield {
        "tokens": unspaced,
        "ctc": {**ctc, "unknown_token": None, "word_delimiter": None},
        "num_outputs": 7,
    }
    yield {
        "tokens": {**unspaced, "|": 7, ".": 8},
        "ctc": {**ctc, "unknown_token": None, "clean_up_spaces": True},
        "num_outputs": 9,
    }


def _vocabulary(given: Json) -> Vocabulary:
    return Vocabulary.from_manifest(given["tokens"], CtcEntry(**given["ctc"]), given["num_outputs"])


def _emission(rng: np.random.Generator, vocab: int, frames: int) -> NDArray[np.float32]:
    """Return log-probabilities in which labels last for some frames and blanks are frequent."""
    logits = rng.normal(0, 1, (frames, vocab))
    place = 0
    while place < frames:
        end = place + int(rng.integers(1, 4))
        logits[place:end, 0 if rng.random() < 0.4 else rng.integers(vocab)] += 6
        place = end
    return log_softmax(logits.astype(np.float32))


def _decoding(rng: np.random.Generator) -> Iterator[Json]:
    clock = FrameClock(stride=STRIDE, sample_rate_hz=RATE_HZ)
    for given in _vocabularies():
        vocabulary = _vocabulary(given)
        for frames in (0, 1, 60, 300, 4000):
            emission = _emission(rng, given["num_outputs"], frames)
            duration_s = frames * STRIDE / RATE_HZ
            [path] = Greedy().decode(emission[None], np.array([frames]), vocabulary)
            whole = Transcript.from_hypothesis(
                path, vocabulary=vocabulary, clock=clock, duration_s=duration_s
            )
            cuts = [0, *sorted(rng.integers(0, frames + 1, 12).tolist()), frames]
            spans = list(pairwise(cuts))
            yield {
                "vocabulary": given,
                "emission": _base64(emission),
                "stride": STRIDE,
                "rate": RATE_HZ,
                "duration_s": duration_s,
                "text": whole.text,
                "words": _words(whole.words),
                "cuts": spans,
                "commits": _commits(Committer(Greedy(), vocabulary, clock), emission, spans),
            }


def _commits(
    committer: Committer, emission: NDArray[np.float32], spans: Sequence[tuple[int, int]]
) -> list[Json]:
    commits: list[Json] = [
        {
            "committed": _words(committer.advance(emission[begin:end])),
            "pending": _words(committer.pending(emission[end : end + 5])),
        }
        for begin, end in spans
    ]
    commits[-1]["rest"] = _words(committer.finish())
    return commits


def _words(words: Sequence[Word]) -> list[Json]:
    fields = ("text", "start_s", "end_s", "confidence")
    return [{name: getattr(word, name) for name in fields} for word in words]


def _segments(transcript: Transcript) -> list[Json]:
    return [
        {"text": one.text, "start_s": one.start_s, "end_s": one.end_s, "words": _words(one.words)}
        for one in transcript.segments
    ]


def as_json(transcript: Transcript) -> Json:
    """Return the object that sewd-web returns for a transcript."""
    return {
        "text": transcript.text,
        "duration_s": transcript.duration_s,
        "segments": _segments(transcript),
        "words": _words(transcript.words),
    }


def _softmax(rng: np.random.Generator) -> Json:
    logits = rng.normal(0, 20, (50, 32)).astype(np.float32)
    return {"logits": _base64(logits), "log_probs": _base64(log_softmax(logits)), "vocab": 32}


def _given(recognizer: Recognizer) -> Json:
    manifest = recognizer.manifest
    assert manifest.ctc is not None
    tokens = json.loads(recognizer.network.bundle.path_of("vocab.json").read_text("utf-8"))
    return {"tokens": tokens, "ctc": dataclasses.asdict(manifest.ctc), "num_outputs": manifest.num_outputs}


def _manifest(manifest: Manifest) -> Json:
    names = ("sample_rate_hz", "receptive_field", "stride", "min_samples", "num_outputs")
    return {name: getattr(manifest, name) for name in names}


def _recording(digits: Recognizer, clip: NDArray[np.float32]) -> Json:
    [logits] = digits.logits([clip])
    [transcript] = digits.transcripts([logits], [clip])
    return {
        "vocabulary": _given(digits),
        "manifest": _manifest(digits.manifest),
        "emission": _base64(log_softmax(logits)),
        "samples": _base64(clip),
        "segments": _segments(transcript),
        "text": transcript.text,
    }


def _stream(
    manifest: Manifest, streaming: Streaming, talk: NDArray[np.float32], rng: np.random.Generator
) -> Json:
    blocks = rng.integers(0, 9_000, 200).tolist()
    chunker = Chunker(streaming, manifest)
    windows: list[list[Any]] = []
    turns: list[Json] = []

    def note(window: Any) -> None:
        total = float(window.samples.sum(dtype=np.float64))
        windows.append([len(window.samples), total, window.begin, window.known, window.new])

    place = 0
    for size in blocks:
        chunker.push(talk[place : place + size])
        place += size
        while (window := chunker.due()) is not None:
            note(window)
            turns += map(dataclasses.asdict, chunker.take_turns())
    if (window := chunker.finish()) is not None:
        note(window)
    turns += map(dataclasses.asdict, chunker.take_turns())
    return {
        "manifest": _manifest(manifest),
        "streaming": dataclasses.asdict(streaming),
        "samples": _base64(talk),
        "blocks": blocks,
        "windows": windows,
        "turns": turns,
    }


def long_recording(clips: Sequence[NDArray[np.float32]], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return more than a minute: speech with pauses, and half a minute without any."""
    quiet = np.zeros(12_000, np.float32)
    parts = [*(part for clip in clips for part in (clip, quiet)), *clips, *clips, quiet, quiet, *clips[:2]]
    samples = np.concatenate(parts)
    return samples + rng.normal(0, 1e-3, len(samples)).astype(np.float32)


def _long(digits: Recognizer, clips: Sequence[NDArray[np.float32]], rng: np.random.Generator) -> Json:
    samples = long_recording(clips, rng)
    manifest = digits.manifest
    regions: list[list[int]] = []
    length = 0
    for part in find_regions([samples], SEGMENTATION, sample_rate_hz=RATE_HZ):
        length += len(part.samples)
        if part.is_last:
            regions.append([part.begin, part.begin + length])
            length = 0
    groups = WindowGroups(iter([samples]), manifest, SEGMENTATION)
    stitcher = Stitcher(digits.vocabulary, groups.plan)
    windows, emissions, stretches = [], [], []
    for window in (window for group in groups for window in group):
        first, end = window.first, window.end
        windows.append([len(window.samples), first.region, first.frame, window.begin, end, window.is_last])
        emission = _emission(rng, manifest.num_outputs, groups.plan.num_frames(len(window.samples)))
        emissions.append(_base64(emission))
        for stretch in stitcher.add(window, emission):
            begin = stretch.first.region + stretch.first.frame * manifest.stride
            stretches.append([begin, len(stretch.log_probs), len(stretch.samples)])
    return {
        "manifest": _manifest(manifest),
        "vocabulary": _given(digits),
        "samples": _base64(samples),
        "regions": regions,
        "windows": windows,
        "emissions": emissions,
        "stretches": stretches,
    }


def _subtitles(rng: np.random.Generator) -> Iterator[Json]:
    words = ("one", "twenty-two", "three,", "a", "extraordinarily", "五", "完。", "a<b&c", "12", "00:00:01")
    for count in (0, 1, 3, 40, 300):
        segments: list[Segment] = []
        time_s = 0.0
        for _ in range(0, count, 20):
            spoken = []
            for text in rng.choice(words, min(count, 20)).tolist():
                time_s += float(rng.exponential(0.2)) * (4 if rng.random() < 0.1 else 1)
                end_s = time_s + 0.05 + float(rng.exponential(0.25))
                spoken.append(Word(text=text, start_s=time_s, end_s=end_s, confidence=0.9))
                time_s = end_s
            gap = "" if rng.random() < 0.3 else " "
            text = gap.join(word.text for word in spoken)
            times = {"start_s": spoken[0].start_s, "end_s": spoken[-1].end_s}
            segments.append(Segment(text=text, words=tuple(spoken), **times))
        whole = " ".join(segment.text for segment in segments)
        transcript = Transcript(text=whole, segments=tuple(segments), duration_s=time_s)
        texts = {"txt": as_text(transcript), "srt": as_srt(transcript), "vtt": as_vtt(transcript)}
        yield {"transcript": as_json(transcript), **texts}


def _resampling(clip: NDArray[np.float32], rate_hz: int, target_hz: int, error: float) -> Json:
    samples = clip if rate_hz == RATE_HZ else soxr.resample(clip, RATE_HZ, rate_hz)
    return {
        "rate": rate_hz,
        "target": target_hz,
        "samples": _base64(samples),
        "expected": _base64(soxr.resample(samples, rate_hz, target_hz)),
        "blocks": [0, 1, 479, 5_000, len(samples)],
        "error": error,
    }
