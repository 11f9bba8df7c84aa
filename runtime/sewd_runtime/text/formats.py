"""What a transcript is written as: one function a format, rows of ``FORMATS``."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from sewd_runtime.text.subtitles import CUE_LIMITS, Cue, CueLimits, find_cues
from sewd_runtime.text.transcript import Transcript, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format.

    write: the content of a file, which ends with a line feed. ending: of a file's name.
    is_document: what is written about one recording fills a file, and a second one cannot follow it.
    """

    write: Callable[[Transcript], str]
    ending: str
    is_document: bool


def as_text(transcript: Transcript) -> str:
    """Write the text on one line."""
    return f"{transcript.text}\n"


def as_dict(transcript: Transcript) -> dict[str, Any]:
    """Return what JSON tells: text, words with their times in seconds, and what was asked for beside them.

    That is the characters of each word, and the alternatives of each segment with their scores.
    """
    words = [word_as_dict(word) for word in transcript.words]
    found = {"text": transcript.text, "duration_s": transcript.duration_s, "words": words}
    if any(segment.alternatives for segment in transcript.segments):
        found["alternatives"] = [[asdict(one) for one in each.alternatives] for each in transcript.segments]
    return found


def word_as_dict(word: Word) -> dict[str, Any]:
    """Return what JSON tells of a word: its characters only where there are any."""
    found = asdict(word)
    if not word.characters:
        del found["characters"]
    return found


def as_json(transcript: Transcript) -> str:
    """Write one JSON object on one line."""
    return json.dumps(as_dict(transcript), ensure_ascii=False) + "\n"


def as_srt(transcript: Transcript, limits: CueLimits = CUE_LIMITS) -> str:
    """Write SubRip: numbered cues, a comma before the milliseconds."""
    return "".join(
        f"{number}\n{_span(cue, ',')}\n{_lines(cue)}\n\n"
        for number, cue in enumerate(find_cues(transcript, limits), start=1)
    )


def as_vtt(transcript: Transcript, limits: CueLimits = CUE_LIMITS) -> str:
    """Write WebVTT (W3C): what looks like a tag or the start of one is escaped."""
    return "WEBVTT\n" + "".join(
        f"\n{_span(cue, '.')}\n{html.escape(_lines(cue), quote=False)}\n"
        for cue in find_cues(transcript, limits)
    )


def as_tsv(transcript: Transcript, limits: CueLimits = CUE_LIMITS) -> str:
    """Write tab-separated start, end, text, as whisper does: whole milliseconds, of what is said."""
    return "start\tend\ttext\n" + "".join(
        f"{cue.start_ms}\t{cue.spoken_ms}\t{' '.join(cue.lines)}\n" for cue in find_cues(transcript, limits)
    )


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "text": Format(write=as_text, ending=".txt", is_document=False),
        "json": Format(write=as_json, ending=".json", is_document=False),
        "srt": Format(write=as_srt, ending=".srt", is_document=True),
        "vtt": Format(write=as_vtt, ending=".vtt", is_document=True),
        "tsv": Format(write=as_tsv, ending=".tsv", is_document=True),
    }
)
"""Name on the command line → format."""


def _lines(cue: Cue) -> str:
    return "\n".join(cue.lines)


def _span(cue: Cue, point: str) -> str:
    return f"{_clock(cue.start_ms, point)} --> {_clock(cue.end_ms, point)}"


def _clock(milliseconds: int, point: str) -> str:
    """Write a time as hours, minutes, seconds and milliseconds; hours take as many digits as they need."""
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"
