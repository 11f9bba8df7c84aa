"""Output formats of transcripts: one function for each, listed in ``FORMATS``."""

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from sewd_runtime.text.cues import CUE_LIMITS, Cue, CueLimits, find_cues
from sewd_runtime.text.transcript import Transcript, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """An output format.

    write: returns the content of a file, which ends with a line feed. ending: the file name's extension.
    is_document: the output for one recording is a complete file, so a second one cannot follow it.
    """

    write: Callable[[Transcript], str]
    ending: str
    is_document: bool


def as_text(transcript: Transcript) -> str:
    """Return the text on one line."""
    return f"{transcript.text}\n"


def as_dict(transcript: Transcript) -> dict[str, Any]:
    """Return the content of the JSON format: text, duration, and words with their times in seconds.

    The alternatives of each segment, with scores, and the characters of each word are included if there are
    any.
    """
    words = [word_as_dict(word) for word in transcript.words]
    content = {"text": transcript.text, "duration_s": transcript.duration_s, "words": words}
    if any(segment.alternatives for segment in transcript.segments):
        content["alternatives"] = [
            [asdict(reading) for reading in segment.alternatives] for segment in transcript.segments
        ]
    return content


def word_as_dict(word: Word) -> dict[str, Any]:
    """Return the content of the JSON format for a word; characters are left out if there are none."""
    content = asdict(word)
    if not word.characters:
        del content["characters"]
    return content


def as_json(transcript: Transcript) -> str:
    """Return one JSON object on one line."""
    return json.dumps(as_dict(transcript), ensure_ascii=False) + "\n"


def as_srt(transcript: Transcript, limits: CueLimits = CUE_LIMITS) -> str:
    """Return SubRip: numbered cues, a comma before the milliseconds."""
    return "".join(
        f"{number}\n{_span(cue, ',')}\n{_lines(cue)}\n\n"
        for number, cue in enumerate(find_cues(transcript, limits), start=1)
    )


def as_vtt(transcript: Transcript, limits: CueLimits = CUE_LIMITS) -> str:
    """Return WebVTT (W3C), with the characters of tags and entities escaped."""
    return "WEBVTT\n" + "".join(
        f"\n{_span(cue, '.')}\n{html.escape(_lines(cue), quote=False)}\n"
        for cue in find_cues(transcript, limits)
    )


def as_tsv(transcript: Transcript, limits: CueLimits = CUE_LIMITS) -> str:
    """Return tab-separated start, end and text like whisper: when it is spoken, in whole milliseconds."""
    return "start\tend\ttext\n" + "".join(
        f"{cue.start_ms}\t{cue.spoken_ms}\t{cue.gap.join(cue.lines)}\n"
        for cue in find_cues(transcript, limits)
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
    """Return a time as hours, minutes, seconds and milliseconds; hours have at least two digits."""
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"
