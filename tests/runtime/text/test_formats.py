from __future__ import annotations

import csv
import html
import io
import json
import re
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sewd_runtime.errors import CueLimitsError
from sewd_runtime.text.case import sentence_case
from sewd_runtime.text.cues import Cue, CueLimits, find_cues
from sewd_runtime.text.formats import FORMATS, as_dict, as_srt, as_text, as_tsv, as_vtt
from sewd_runtime.text.transcript import Character, Segment, Transcript, Word

LETTERS = st.characters(exclude_categories=("Cs", "Cc"))
SPELLINGS = st.one_of(
    st.text(LETTERS, min_size=1, max_size=12),
    st.text(LETTERS, min_size=40, max_size=60),
    st.sampled_from(
        [
            "ZERO",
            "1",
            "-->",
            "<b>",
            "&amp;",
            "&",
            "WEBVTT",
            "NOTE",
            "\u2028",
            "a\u2003b",
            "\t",
            "00:00:01,000",
        ]
    ),
)


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    """Words in order, some of no duration, some hours later, in segments of any size."""
    time_s = draw(st.floats(0, 10 ** draw(st.integers(0, 6))))
    segments = []
    for _ in range(draw(st.integers(0, 3))):
        words = []
        for text in draw(st.lists(SPELLINGS, min_size=1, max_size=25)):
            start_s = time_s + draw(st.sampled_from([0.0, 0.0, 0.0004, 0.02, 0.3, 2.0]))
            time_s = start_s + draw(st.sampled_from([0.0, 0.0004, 0.02, 0.3, 1.5, 20.0]))
            words.append(Word(text=text, start_s=start_s, end_s=time_s, confidence=0.5))
        text = " ".join(word.text for word in words)
        segments.append(
            Segment(text=text, start_s=words[0].start_s, end_s=words[-1].end_s, words=tuple(words))
        )
    return Transcript(
        text=" ".join(one.text for one in segments), segments=tuple(segments), duration_s=time_s + 1
    )


LIMITS = st.builds(
    CueLimits,
    line_characters=st.sampled_from([1, 10, 42]),
    lines=st.integers(1, 3),
    shortest_s=st.sampled_from([0.001, 5 / 6]),
    longest_s=st.sampled_from([1.0, 7.0]),
    characters_per_s=st.sampled_from([1.0, 20.0]),
    pause_s=st.sampled_from([0.0, 0.5]),
    longest_pause_s=st.sampled_from([0.5, 1.5]),
)


def seen(text: str) -> list[str]:
    return text.split()


def visible(transcript: Transcript) -> list[Word]:
    return [word for word in transcript.words if word.text.strip()]


def cue_of_words(transcript: Transcript, cues: list[Cue]) -> list[int]:
    """Return the index of the cue of each visible word."""
    places = [place for place, cue in enumerate(cues) for line in cue.lines for _ in seen(line)]
    found, part = [], 0
    for word in visible(transcript):
        found.append(places[part])
        part += len(seen(word.text))
    assert part == len(places)
    return found


@given(transcript=transcripts(), limits=LIMITS)
@settings(max_examples=300, deadline=None)
def test_cues_have_every_word_once_and_obey_the_limits(transcript: Transcript, limits: CueLimits) -> None:
    cues = find_cues(transcript, limits)
    assert [part for cue in cues for line in cue.lines for part in seen(line)] == seen(
        " ".join(word.text for word in transcript.words)
    )
    texts = {" ".join(seen(word.text)) for word in transcript.words}
    for cue in cues:
        assert 0 <= cue.start_ms < cue.spoken_ms <= cue.end_ms
        assert cue.end_ms - cue.start_ms <= max(1, round(limits.longest_s * 1000))
        assert 1 <= len(cue.lines) <= limits.lines
        for line in cue.lines:
            assert line.strip()
            assert len(line) <= limits.line_characters or line in texts
    for cue, following in pairwise(cues):
        assert cue.end_ms <= following.start_ms
        if cue.end_ms < following.start_ms:  # there was room
            letters = sum(map(len, cue.lines))
            wanted = max(limits.shortest_s, letters / limits.characters_per_s)
            assert cue.end_ms - cue.start_ms >= round(min(wanted, limits.longest_s) * 1000) - 1


@given(transcript=transcripts(), limits=LIMITS)
@settings(max_examples=300, deadline=None)
def test_cues_begin_with_their_words_and_end_before_long_pauses(
    transcript: Transcript, limits: CueLimits
) -> None:
    cues = find_cues(transcript, limits)
    words, places = visible(transcript), cue_of_words(transcript, find_cues(transcript, limits))
    for (one, place), (other, next_place) in pairwise(zip(words, places, strict=True)):
        if other.start_s - one.end_s >= limits.longest_pause_s:
            assert next_place == place + 1
    first = {place: word for word, place in reversed(list(zip(words, places, strict=True)))}
    for place, word in first.items():
        assert cues[place].start_ms >= round(word.start_s * 1000)
        if place == 0 or cues[place - 1].start_ms < round(word.start_s * 1000):
            assert cues[place].start_ms == round(word.start_s * 1000)


def said(*words: tuple[str, float, float]) -> Transcript:
    made = tuple(Word(text=text, start_s=a, end_s=b, confidence=1.0) for text, a, b in words)
    text = " ".join(word.text for word in made)
    segment = Segment(text=text, start_s=made[0].start_s, end_s=made[-1].end_s, words=made)
    return Transcript(text=text, segments=(segment,), duration_s=made[-1].end_s)


def spoken_at(words: int, *, each_s: float, pauses_s: dict[int, float] | None = None) -> Transcript:
    """Words of six letters, one after another, with a longer pause before some of them."""
    made, time_s = [], 0.0
    for number in range(words):
        time_s += (pauses_s or {}).get(number, 0.05)
        made.append((f"word{number:02}", time_s, time_s + each_s))
        time_s += each_s
    return said(*made)


def counts(cues: list[Cue]) -> list[int]:
    return [sum(len(line.split()) for line in cue.lines) for cue in cues]


def test_no_cue_is_left_with_a_word_or_two() -> None:
    for words in range(3, 40):
        assert min(counts(find_cues(spoken_at(words, each_s=0.35)))) >= 3


def test_a_cue_ends_at_a_pause_rather_than_full() -> None:
    assert counts(find_cues(spoken_at(16, each_s=0.35, pauses_s={7: 0.6}))) == [7, 9]


def test_a_word_between_pauses_joins_its_neighbours() -> None:
    cues = find_cues(spoken_at(9, each_s=0.35, pauses_s={4: 0.5, 5: 0.6}))
    assert min(counts(cues)) >= 3


def test_a_cue_ends_with_a_clause() -> None:
    words = [(f"word{n:02}" + "," * (n == 6), 0.4 * n, 0.4 * n + 0.35) for n in range(14)]
    assert counts(find_cues(said(*words))) == [7, 7]


Row = tuple[int, int, list[str]]


def parse_srt(text: str) -> list[Row]:
    srt = pytest.importorskip("srt")
    cues = list(srt.parse(text))
    assert [cue.index for cue in cues] == list(range(1, len(cues) + 1))
    ms = timedelta(milliseconds=1)
    return [(cue.start // ms, cue.end // ms, cue.content.split("\n")) for cue in cues]


def parse_vtt(text: str) -> list[Row]:
    webvtt = pytest.importorskip("webvtt")

    def ms(clock: str) -> int:
        hours, minutes, seconds = clock.split(":")
        return round(1000 * (3600 * int(hours) + 60 * int(minutes) + float(seconds)))

    assert text.startswith("WEBVTT\n")
    return [
        (ms(cue.start), ms(cue.end), [html.unescape(line) for line in cue.raw_text.split("\n")])
        for cue in webvtt.from_string(text)
    ]


def parse_tsv(text: str) -> list[Row]:
    header, *rows = csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
    assert header == ["start", "end", "text"]
    return [(int(start), int(end), [line]) for start, end, line in rows]


@given(transcript=transcripts(), limits=LIMITS)
@settings(max_examples=200, deadline=None)
def test_srt_parses_back(transcript: Transcript, limits: CueLimits) -> None:
    cues = find_cues(transcript, limits)
    assert parse_srt(as_srt(transcript, limits)) == [(c.start_ms, c.end_ms, list(c.lines)) for c in cues]


def test_a_number_above_a_clock_does_not_begin_a_cue() -> None:
    """SubRip begins cues so, and its readers would take this for the next cue."""
    words = tuple(
        Word(text=text, start_s=0.0, end_s=0.0, confidence=0.5, characters=())
        for text in (*"000000000", "0" * 40, "0:0:0", "0")
    )
    text = " ".join(word.text for word in words)
    segment = Segment(text=text, start_s=0.0, end_s=0.0, words=words)
    transcript = Transcript(text=text, segments=(segment,), duration_s=0.0)
    limits = CueLimits(lines=3)
    cues = find_cues(transcript, limits)
    assert parse_srt(as_srt(transcript, limits)) == [(c.start_ms, c.end_ms, list(c.lines)) for c in cues]


@given(transcript=transcripts(), limits=LIMITS)
@settings(max_examples=200, deadline=None)
def test_vtt_parses_back(transcript: Transcript, limits: CueLimits) -> None:
    cues = find_cues(transcript, limits)
    assert parse_vtt(as_vtt(transcript, limits)) == [(c.start_ms, c.end_ms, list(c.lines)) for c in cues]


@given(transcript=transcripts(), limits=LIMITS)
@settings(max_examples=200, deadline=None)
def test_tsv_parses_back(transcript: Transcript, limits: CueLimits) -> None:
    cues = find_cues(transcript, limits)
    assert parse_tsv(as_tsv(transcript, limits)) == [
        (c.start_ms, c.spoken_ms, [" ".join(c.lines)]) for c in cues
    ]


def test_exact_text() -> None:
    transcript = said(("A&B", 0.5, 0.9), ("<C>", 3661.0, 3662.25))
    assert as_srt(transcript) == (
        "1\n00:00:00,500 --> 00:00:01,333\nA&B\n\n2\n01:01:01,000 --> 01:01:02,250\n<C>\n\n"
    )
    assert as_vtt(transcript) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.333\nA&amp;B\n\n01:01:01.000 --> 01:01:02.250\n&lt;C&gt;\n"
    )
    assert as_tsv(transcript) == "start\tend\ttext\n500\t900\tA&B\n3661000\t3662250\t<C>\n"


def test_times_in_json_are_short() -> None:
    later = said(("A", 0.1, 0.2), ("B", 0.3, 0.7)).shifted(5.1)
    content = json.loads(FORMATS["json"].write(later))
    assert [(word["start_s"], word["end_s"]) for word in content["words"]] == [(5.2, 5.3), (5.4, 5.8)]
    assert [(each["start_s"], each["end_s"]) for each in content["segments"]] == [(5.2, 5.8)]


def test_json_has_characters_if_there_are_any() -> None:
    plain = said(("AB", 0.5, 0.9))
    [word] = as_dict(plain)["words"]
    assert word == {"text": "AB", "start_s": 0.5, "end_s": 0.9, "confidence": 1.0}
    characters = tuple(
        Character(text=text, start_s=a, end_s=a + 0.02, confidence=0.5)
        for text, a in (("A", 0.5), ("B", 0.6))
    )
    whole = Word(text="AB", start_s=0.5, end_s=0.9, confidence=1.0, characters=characters)
    segment = Segment(text="AB", start_s=0.5, end_s=0.9, words=(whole,))
    spelled = Transcript(text="AB", segments=(segment,), duration_s=1.0)
    found: dict[str, Any] = json.loads(FORMATS["json"].write(spelled))
    assert [one["text"] for one in found["words"][0]["characters"]] == ["A", "B"]
    assert list(found["words"][0]["characters"][0]) == ["text", "start_s", "end_s", "confidence"]


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_transcript_is_written(name: str) -> None:
    written = FORMATS[name].write(Transcript(text="", segments=(), duration_s=1.0))
    assert written in ("", "\n", "WEBVTT\n", "start\tend\ttext\n") or json.loads(written)["words"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"line_characters": 0},
        {"lines": 0},
        {"shortest_s": 0.0},
        {"shortest_s": 8.0},
        {"characters_per_s": 0.0},
        {"pause_s": -1.0},
        {"pause_s": float("nan")},
    ],
)
def test_limits_that_contradict_one_another_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(CueLimitsError, match="CueLimits"):
        CueLimits(**wrong)


@given(transcript=transcripts(), limits=LIMITS)
@settings(max_examples=200, deadline=None)
def test_highlighted_vtt_has_the_same_cues_with_times_in_order(
    transcript: Transcript, limits: CueLimits
) -> None:
    plain = parse_vtt(as_vtt(transcript, limits))
    timed = as_vtt(transcript, limits, highlight=True)
    stamp = re.compile(r"<(\d\d+):(\d\d):(\d\d)\.(\d{3})>")
    assert parse_vtt(stamp.sub("", timed)) == plain
    for (start_ms, end_ms, _), text in zip(plain, timed.split("\n\n")[1:], strict=True):
        times = [
            3_600_000 * int(h) + 60_000 * int(m) + 1000 * int(s) + int(ms)
            for h, m, s, ms in stamp.findall(text)
        ]
        assert all(start_ms < time < end_ms for time in times)
        assert all(before < after for before, after in pairwise(times))


def test_each_word_after_a_cues_first_has_its_time() -> None:
    text = as_vtt(said(("SIX", 0.25, 0.81), ("SIX", 1.29, 1.85)), highlight=True)
    assert text.splitlines()[-1] == "SIX <00:00:01.290>SIX"


def segments_of(*parts: tuple[str, float, float]) -> Transcript:
    segments = tuple(
        Segment(text=text, start_s=start_s, end_s=end_s, words=said((text, start_s, end_s)).words)
        for text, start_s, end_s in parts
    )
    return Transcript(text=" ".join(part[0] for part in parts), segments=segments, duration_s=parts[-1][2])


def test_text_is_cut_into_paragraphs_at_pauses_and_loses_nothing() -> None:
    parts = [
        ("one", 0.0, 1.0),
        ("two", 1.6, 2.0),
        ("three", 4.5, 5.0),
        ("x" * 900, 5.6, 9.0),
        ("y", 9.6, 10.0),
    ]
    transcript = segments_of(*parts)
    assert as_text(transcript) == f"one two\nthree {'x' * 900}\ny\n"
    assert as_text(transcript).split() == transcript.text.split()


@given(transcript=transcripts())
@settings(max_examples=200, deadline=None)
def test_sentence_case_changes_capitals_alone(transcript: Transcript) -> None:
    cased = sentence_case(transcript)
    assert cased.text.casefold() == transcript.text.casefold() or cased == transcript
    assert [word.start_s for word in cased.words] == [word.start_s for word in transcript.words]


def test_a_sentence_begins_after_a_pause() -> None:
    transcript = said(
        ("SO", 0.0, 0.3),
        ("I'M", 0.4, 0.6),
        ("HERE", 0.7, 1.0),
        ("AND", 1.8, 2.0),
        ("I", 2.1, 2.2),
        ("GO", 2.3, 2.5),
    )
    assert sentence_case(transcript).text == "So I'm here And I go"
    mixed = said(("So", 0.0, 0.3), ("BBC", 0.4, 0.6))
    assert sentence_case(mixed) is mixed
