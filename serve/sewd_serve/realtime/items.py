"""The conversation's items: what a stream has heard, as the events of OpenAI's protocol."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sewd_serve.live import text_of
from sewd_serve.realtime.options import SessionOptions
from sewd_serve.worker.messages import Heard, LiveTurn, LiveWord

Event: TypeAlias = dict[str, Any]

_TRANSCRIPTION = "conversation.item.input_audio_transcription"


def new_id(prefix: str) -> str:
    """Return an id of OpenAI's form, such as item_4c1f…"""
    return f"{prefix}_{uuid.uuid4().hex[:20]}"


@dataclass(slots=True)
class _Item:
    """One turn of speech, or what one commit ends. text: the deltas so far, which are its transcript."""

    begin_s: float
    id: str = field(default_factory=lambda: new_id("item"))
    text: str = ""
    is_announced: bool = False


class Items:
    """Turns what the session's streams hear into events, one stream after another.

    Words are deltas of an item, and the item's transcript is all its deltas: they are committed words, which
    never change. With turn detection an item is a turn; without, it is what a commit ends.
    """

    def __init__(self) -> None:
        self._previous: str | None = None

    def begin_stream(self, options: SessionOptions, *, begin_s: float) -> None:
        """Expect another stream, which begins at this second of the session's audio."""
        self.options, self._offset_s = options, begin_s
        self._is_ending = False
        self._items: dict[int, _Item | None] = {0: None}  # utterance → the item that is open in it
        self._begin_s = begin_s  # of the utterance under way

    @property
    def begin_s(self) -> float:
        """Where audio begins that is in no item yet, in seconds of the session's audio."""
        return self._begin_s

    def commit(self, utterance: int, *, end_s: float) -> Iterator[Event]:
        """Yield the events of a commit before the model has heard all of it."""
        self._items[utterance + 1] = None
        if self.options.silence_ms is None:
            yield from self._announce(self._open(utterance))
        self._begin_s = end_s

    def end(self, utterance: int) -> None:
        """Expect the last words of the stream; what had no words becomes no item."""
        self._is_ending = True
        self._items[utterance + 1] = None

    @property
    def is_settled(self) -> bool:
        """Whether every utterance that was committed is heard."""
        return len(self._items) == 1

    def clear(self, utterance: int, *, end_s: float) -> None:
        """Forget an utterance."""
        self._items[utterance + 1] = None
        del self._items[utterance]
        self._begin_s = end_s

    def hear(self, heard: Heard) -> Iterator[Event]:
        """Yield the events of what was heard."""
        number = heard.utterance
        if number not in self._items:
            return  # it was cleared
        place, has_ended = 0, False
        for turn in heard.turns if self.options.silence_ms is not None else ():
            yield from self._say(number, heard.committed[place : turn.after])
            place, has_ended = turn.after, not turn.begins
            yield from self._turn(number, turn)
        yield from self._say(number, heard.committed[place:])
        if heard.is_final:
            if self._items[number] is not None or not (has_ended or self._is_ending):
                yield from self._close(number, end_s=heard.audio_s + self._offset_s)
            del self._items[number]
        elif self.options.sends_pending and (heard.pending or self._items[number] is not None):
            yield self._pending(self._open(number), heard.pending)

    def _turn(self, number: int, turn: LiveTurn) -> Iterator[Event]:
        time_s = turn.time_s + self._offset_s
        if turn.begins:
            item = self._items[number] = self._items[number] or _Item(time_s)
            yield {
                "type": "input_audio_buffer.speech_started",
                "item_id": item.id,
                "audio_start_ms": round(1000 * time_s),
            }
            return
        item = self._open(number)
        yield {
            "type": "input_audio_buffer.speech_stopped",
            "item_id": item.id,
            "audio_end_ms": round(1000 * time_s),
        }
        yield from self._close(number, end_s=time_s)
        self._begin_s = max(self._begin_s, time_s)

    def _open(self, number: int) -> _Item:
        """Return the open item of an utterance, or a new one."""
        item = self._items[number]
        if item is None:
            item = self._items[number] = _Item(self._begin_s)
        return item

    def _say(self, number: int, words: Sequence[LiveWord]) -> Iterator[Event]:
        if not words:
            return
        item = self._open(number)
        delta = text_of(words, is_first=not item.text)
        item.text += delta
        event = {
            "type": f"{_TRANSCRIPTION}.delta",
            "item_id": item.id,
            "content_index": 0,
            "delta": delta,
        }
        if self.options.sends_words:
            event["sewd_words"] = self._times(words)
        yield event

    def _pending(self, item: _Item, words: Sequence[LiveWord]) -> Event:
        text = text_of(words, is_first=not item.text)
        return {"type": "sewd.pending", "item_id": item.id, "text": text}

    def _close(self, number: int, *, end_s: float) -> Iterator[Event]:
        item = self._open(number)
        yield from self._announce(item)
        yield {
            "type": f"{_TRANSCRIPTION}.completed",
            "item_id": item.id,
            "content_index": 0,
            "transcript": item.text,
            "usage": {"type": "duration", "seconds": round(max(0.0, end_s - item.begin_s), 2)},
        }
        self._items[number] = None

    def _announce(self, item: _Item) -> Iterator[Event]:
        """Yield the events by which an item enters the conversation, once."""
        if item.is_announced:
            return
        item.is_announced = True
        content = [{"type": "input_audio", "transcript": None}]
        as_item = {
            "id": item.id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": content,
        }
        placed = {"previous_item_id": self._previous}
        yield {"type": "input_audio_buffer.committed", "item_id": item.id, **placed}
        yield {"type": "conversation.item.added", "item": as_item, **placed}
        yield {"type": "conversation.item.done", "item": as_item, **placed}
        self._previous = item.id

    def _times(self, words: Sequence[LiveWord]) -> list[Event]:
        return [
            {
                "word": word.text,
                "start": word.start_s + self._offset_s,
                "end": word.end_s + self._offset_s,
                "confidence": word.confidence,
            }
            for word in words
        ]
