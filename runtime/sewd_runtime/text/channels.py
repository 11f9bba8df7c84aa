"""The channels of a recording, each transcribed on its own, as one transcript in the order of time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

from sewd_runtime.text.scripts import join_texts
from sewd_runtime.text.transcript import Segment, Transcript, Word

TURN_PAUSE_S = 0.5
"""At a pause of this length another channel may have its turn."""


def merge_channels(transcripts: Sequence[Transcript]) -> Transcript:
    """Return one transcript of the channels 1, 2, ... of a recording.

    Segments are cut at pauses of ``TURN_PAUSE_S`` and ordered by their beginnings; ``channels`` says whose
    each is. The text has a line for each turn, with the number of the channel: "[1] hello".
    """
    segments = [
        (piece, channel)
        for channel, transcript in enumerate(transcripts, start=1)
        for segment in transcript.segments
        for piece in _pieces(segment)
    ]
    segments.sort(key=lambda each: each[0].start_s)
    lines = [
        f"[{channel}] {join_texts(piece.text for piece, _ in turn)}"
        for channel, turn in groupby(segments, key=itemgetter(1))
    ]
    return Transcript(
        text="\n".join(lines),
        segments=tuple(piece for piece, _ in segments),
        duration_s=max(transcript.duration_s for transcript in transcripts),
        channels=tuple(channel for _, channel in segments),
    )


def split_channels(transcript: Transcript) -> Iterator[tuple[int | None, Transcript]]:
    """Yield each channel of a transcript with its number; one without channels as it is, with None."""
    if not transcript.channels:
        yield None, transcript
        return
    for channel in sorted(set(transcript.channels)):
        own = [
            segment
            for segment, number in zip(transcript.segments, transcript.channels, strict=True)
            if number == channel
        ]
        text = join_texts(segment.text for segment in own)
        yield channel, replace(transcript, text=text, segments=tuple(own), channels=())


def _pieces(segment: Segment) -> Iterator[Segment]:
    """Yield a segment in pieces between its pauses; one without any as it is."""
    words: list[list[Word]] = []
    for word in segment.words:
        if not words or word.start_s - words[-1][-1].end_s >= TURN_PAUSE_S:
            words.append([])
        words[-1].append(word)
    if len(words) < 2:
        yield segment
        return
    is_joined = "".join(word.text for word in segment.words) == segment.text
    for piece in words:
        texts = [word.text for word in piece]
        yield Segment(
            text="".join(texts) if is_joined else join_texts(texts),
            start_s=piece[0].start_s,
            end_s=piece[-1].end_s,
            words=tuple(piece),
        )
