"""Output formats of transcripts: one function for each, listed in ``FORMATS``."""

import html
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from sewd_runtime.text.cues import CUE_LIMITS, Cue, CueLimits, find_cues, word_text
from sewd_runtime.text.scripts import join_texts
from sewd_runtime.text.transcript import Transcript, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """An output format.

    write: returns the content of a file, which ends with a line feed. ending: the file name's extension.
    is_document: the output for one recording is a complete file, so a second one cannot follow it.
    has_cues: it is cut into cues, and takes their limits.
    """

    write: Callable[..., str]
    ending: str
    is_document: bool
    has_cues: bool = False


PARAGRAPH_PAUSE_S, PARAGRAPH_CHARACTERS = 2.0, 800
"""A pause of this length begins a paragraph, and any pause between segments in one that is so long."""


def as_text(transcript: Transcript) -> str:
    """Return the text in paragraphs, each on one line; most recordings of up to a minute are one.

    Of channels that were transcribed on their own, each turn is a line: "[1] hello".
    """
    if transcript.channels:
        return f"{transcript.text}\n"
    lines: list[list[str]] = [[]]
    end_s = math.inf
    for segment in transcript.segments:
        length = sum(map(len, lines[-1]))
        if segment.start_s - end_s >= PARAGRAPH_PAUSE_S or length >= PARAGRAPH_CHARACTERS:
            lines.append([])
        lines[-1].append(segment.text)
        end_s = segment.end_s
    is_joined = "".join(segment.text for segment in transcript.segments) == transcript.text
    return "".join(f"{''.join(line) if is_joined else join_texts(line)}\n" for line in lines)


def as_dict(transcript: Transcript) -> dict[str, Any]:
    """Return the content of the JSON format: text, duration, segments and words with their times in seconds.

    The alternatives of each segment, with scores, the characters of each word, and the channel of segments
    and words are included if there are any.
    """
    words, segments = [], []
    for place, segment in enumerate(transcript.segments):
        channel = {"channel": transcript.channels[place]} if transcript.channels else {}
        times = {"start_s": _rounded(segment.start_s), "end_s": _rounded(segment.end_s)}
        segments.append({"text": segment.text, **times, **channel})
        words += [word_as_dict(word) | channel for word in segment.words]
    content = {
        "text": transcript.text,
        "duration_s": _rounded(transcript.duration_s),
        "segments": segments,
        "words": words,
    }
    if any(segment.alternatives for segment in transcript.segments):
        content["alternatives"] = [
            [asdict(reading) for reading in segment.alternatives] for segment in transcript.segments
        ]
    return content


def word_as_dict(word: Word) -> dict[str, Any]:
    """Return the content of the JSON format for a word; characters are left out if there are none."""
    content = asdict(word)
    for each in (content, *content["characters"]):
        each |= {key: _rounded(each[key]) for key in ("start_s", "end_s")}
    if not word.characters:
        del content["characters"]
    return content


def _rounded(time_s: float) -> float:
    """Return a time without what sums of times leave in the last digits, as in 5.6899999999999995."""
    return round(time_s, 9)


def as_json(transcript: Transcript) -> str:
    """Return one JSON object on one line."""
    return json.dumps(as_dict(transcript), ensure_ascii=False) + "\n"


def as_srt(transcript: Transcript, limits: CueLimits = CUE_LIMITS) -> str:
    """Return SubRip: numbered cues, a comma before the milliseconds; "[1] " before the text of a channel."""
    return "".join(
        f"{number}\n{_span(cue, ',')}\n{_label(cue)}{_lines(cue)}\n\n"
        for number, cue in enumerate(find_cues(transcript, limits), start=1)
    )


def as_vtt(transcript: Transcript, limits: CueLimits = CUE_LIMITS, *, highlight: bool = False) -> str:
    """Return WebVTT (W3C), with the characters of tags and entities escaped, and channels as voices.

    highlight: put the time of each word before it, so that players show word by word what is spoken.
    """
    show = _timed_lines if highlight else _escaped_lines
    return "WEBVTT\n" + "".join(
        f"\n{_span(cue, '.')}\n{_voice(cue)}{show(cue)}\n" for cue in find_cues(transcript, limits)
    )


def as_tsv(transcript: Transcript, limits: CueLimits = CUE_LIMITS) -> str:
    """Return tab-separated start, end and text like whisper: when it is spoken, in whole milliseconds."""
    return "start\tend\ttext\n" + "".join(
        f"{cue.start_ms}\t{cue.spoken_ms}\t{_label(cue)}{cue.gap.join(cue.lines)}\n"
        for cue in find_cues(transcript, limits)
    )


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "text": Format(write=as_text, ending=".txt", is_document=False),
        "json": Format(write=as_json, ending=".json", is_document=False),
        "srt": Format(write=as_srt, ending=".srt", is_document=True, has_cues=True),
        "vtt": Format(write=as_vtt, ending=".vtt", is_document=True, has_cues=True),
        "tsv": Format(write=as_tsv, ending=".tsv", is_document=True, has_cues=True),
    }
)
"""Name on the command line → format."""


def _label(cue: Cue) -> str:
    return "" if cue.channel is None else f"[{cue.channel}] "


def _voice(cue: Cue) -> str:
    return "" if cue.channel is None else f"<v Channel {cue.channel}>"


def _lines(cue: Cue) -> str:
    return "\n".join(cue.lines)


def _escaped_lines(cue: Cue) -> str:
    return html.escape(_lines(cue), quote=False)


def _timed_lines(cue: Cue) -> str:
    """Return the lines of a cue with a timestamp before each word but the first (WebVTT, 4.2.2)."""
    lines, last_ms = [], cue.start_ms
    for line in cue.words:
        parts = []
        for word in line:
            start_ms = round(1000 * word.start_s)
            if last_ms < start_ms < cue.end_ms:  # a timestamp must lie within the cue, after the one before
                parts.append(f"<{_clock(start_ms, '.')}>")
                last_ms = start_ms
            parts += [html.escape(word_text(word), quote=False), cue.gap]
        lines.append("".join(parts).rstrip())
    return "\n".join(lines)


def _span(cue: Cue, point: str) -> str:
    return f"{_clock(cue.start_ms, point)} --> {_clock(cue.end_ms, point)}"


def _clock(milliseconds: int, point: str) -> str:
    """Return a time as hours, minutes, seconds and milliseconds; hours have at least two digits."""
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"
