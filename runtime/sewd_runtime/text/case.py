"""Capitals as in a sentence, for models that write capitals alone."""

from collections.abc import Iterator
from dataclasses import replace

from sewd_runtime.text.transcript import Transcript, Word

SENTENCE_PAUSE_S = 0.7
"""After a pause of this length a new sentence is assumed."""


def sentence_case(transcript: Transcript) -> Transcript:
    """Return the transcript in small letters, and capitals where a sentence may begin and for I.

    Where sentences begin is guessed, in each channel on its own: at the start, and after pauses of
    ``SENTENCE_PAUSE_S``. Names stay in small letters. A transcript that has small letters already is
    returned as it is, and so are alternatives.
    """
    if transcript.text != transcript.text.upper():
        return transcript
    changed = _changed_words(transcript)
    segments = []
    for segment in transcript.segments:
        words = tuple(next(changed) for _ in segment.words)
        is_joined = "".join(word.text for word in segment.words) == segment.text
        text = ("" if is_joined else " ").join(word.text for word in words)
        segments.append(replace(segment, text=text, words=words))
    texts = iter(segments)
    text, place = transcript.text, 0
    for before in transcript.segments:  # the spaces between segments stay as they are
        place = text.index(before.text, place)
        after = next(texts).text
        text = text[:place] + after + text[place + len(before.text) :]
        place += len(after)
    return replace(transcript, text=text, segments=tuple(segments))


def _changed_words(transcript: Transcript) -> Iterator[Word]:
    ends_s: dict[int, float] = {}  # of each channel's last word
    channels = transcript.channels or (0,) * len(transcript.segments)
    for segment, channel in zip(transcript.segments, channels, strict=True):
        for word in segment.words:
            text = word.text.lower()
            pause_s = word.start_s - ends_s.get(channel, float("-inf"))
            if pause_s >= SENTENCE_PAUSE_S or text.split("'")[0] == "i":
                text = text[:1].upper() + text[1:]
            ends_s[channel] = word.end_s
            yield replace(word, text=text)
