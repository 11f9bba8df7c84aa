"""Channels as one transcript: each keeps its words and times, in every format."""

from __future__ import annotations

import io
import json
from itertools import pairwise

import pytest
import srt
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from sewd_runtime.text.case import sentence_case
from sewd_runtime.text.channels import TURN_PAUSE_S, merge_channels, split_channels
from sewd_runtime.text.cues import find_cues
from sewd_runtime.text.formats import FORMATS, as_dict
from sewd_runtime.text.transcript import Segment, Transcript, Word


def segment(*words: tuple[str, float, float]) -> Segment:
    spoken = tuple(Word(text=text, start_s=start, end_s=end, confidence=0.5) for text, start, end in words)
    text = " ".join(word.text for word in spoken)
    return Segment(text=text, start_s=spoken[0].start_s, end_s=spoken[-1].end_s, words=spoken)


def transcript(*segments: Segment, duration_s: float = 20.0) -> Transcript:
    text = " ".join(each.text for each in segments)
    return Transcript(text=text, segments=segments, duration_s=duration_s)


CALL = merge_channels(
    [
        transcript(segment(("HELLO", 0.2, 0.6), ("THERE", 0.7, 1.0), ("FINE", 4.0, 4.5))),
        transcript(segment(("HOW", 1.5, 1.8), ("ARE", 1.9, 2.1), ("YOU", 2.2, 3.0))),
    ]
)


@st.composite
def channels(draw: st.DrawFn) -> list[Transcript]:
    made = []
    for _ in range(draw(st.integers(1, 4))):
        segments, end_s = [], 0.0
        for size in draw(st.lists(st.integers(1, 5), max_size=4)):
            words = []
            for _ in range(size):
                begin_s = end_s + draw(st.sampled_from([0.1, 0.4, 0.6, 3.0]))
                end_s = begin_s + draw(st.sampled_from([0.2, 0.5, 1.0]))
                words.append((draw(st.sampled_from(["YES", "NO", "WELL"])), begin_s, end_s))
            segments.append(segment(*words))
        made.append(transcript(*segments))
    return made


@given(channels())
def test_every_channel_keeps_its_words(parts: list[Transcript]) -> None:
    merged = merge_channels(parts)
    assert len(merged.channels) == len(merged.segments)
    own = dict(split_channels(merged)) if merged.channels else {}
    for number, part in enumerate(parts, start=1):
        assert (own[number].words if number in own else ()) == part.words
    assert all(before.start_s <= after.start_s for before, after in pairwise(merged.segments))
    for each in merged.segments:
        assert all(after.start_s - before.end_s < TURN_PAUSE_S for before, after in pairwise(each.words))
    assert merged.text.split() == [
        word for line in merged.text.splitlines() for word in line.split()
    ]  # nothing but turns
    assert sum(word.startswith("[") for word in merged.text.split()) == len(merged.text.splitlines())


@given(channels())
def test_cues_of_a_channel_are_its_own(parts: list[Transcript]) -> None:
    merged = merge_channels(parts)
    cues = find_cues(merged)
    assert [cue.start_ms for cue in cues] == sorted(cue.start_ms for cue in cues)
    for number, part in enumerate(parts, start=1):
        own = [cue for cue in cues if cue.channel == number]
        assert [word for cue in own for line in cue.words for word in line] == list(part.words)
        assert all(before.end_ms <= after.start_ms for before, after in pairwise(own))


def test_a_turn_is_a_line() -> None:
    assert CALL.text == "[1] HELLO THERE\n[2] HOW ARE YOU\n[1] FINE"
    assert FORMATS["text"].write(CALL) == f"{CALL.text}\n"
    assert sentence_case(CALL).text == "[1] Hello there\n[2] How are you\n[1] Fine"


@given(channels())
def test_what_others_say_changes_no_capital(parts: list[Transcript]) -> None:
    merged = sentence_case(merge_channels(parts))
    for number, own in split_channels(merged):
        assert number is None or own.words == sentence_case(parts[number - 1]).words


def test_every_format_labels_channels() -> None:
    read = webvtt.from_buffer(io.StringIO(FORMATS["vtt"].write(CALL)))
    assert [(cue.voice, cue.text) for cue in read] == [
        ("Channel 1", "HELLO THERE"),
        ("Channel 2", "HOW ARE YOU"),
        ("Channel 1", "FINE"),
    ]
    lines = ["[1] HELLO THERE", "[2] HOW ARE YOU", "[1] FINE"]
    assert [cue.content for cue in srt.parse(FORMATS["srt"].write(CALL))] == lines
    assert [row.split("\t")[2] for row in FORMATS["tsv"].write(CALL).splitlines()[1:]] == lines
    content = json.loads(FORMATS["json"].write(CALL))
    assert [each["channel"] for each in content["segments"]] == [1, 2, 1]
    assert [each["channel"] for each in content["words"]] == [1, 1, 2, 2, 2, 1]


def test_a_mixed_transcript_has_no_channel() -> None:
    mixed = transcript(segment(("HELLO", 0.2, 0.6)))
    assert not mixed.channels
    assert all("channel" not in each for kind in ("segments", "words") for each in as_dict(mixed)[kind])
    assert "<v" not in FORMATS["vtt"].write(mixed)


def test_a_part_has_the_times_of_the_whole() -> None:
    later = CALL.shifted(60.0)
    assert [word.start_s - 60 for word in later.words] == pytest.approx([word.start_s for word in CALL.words])
    assert (later.duration_s, later.channels) == (80.0, CALL.channels)
    assert "\n00:01:00.200 --> 00:01:0" in FORMATS["vtt"].write(later)
