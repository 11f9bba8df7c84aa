"""A live stream as its client's connection sees it: audio in, in packets of a useful size; words out."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sewd_serve.process import Conversation
from sewd_serve.service import Service
from sewd_serve.worker.messages import (
    SAMPLE_BYTES,
    Audio,
    Clear,
    Commit,
    Decode,
    Heard,
    LiveWord,
    Opened,
    OpenStream,
)

_PACKET_S = 0.1
"""Audio is passed on in packets of this length; less waits so long for more."""

_MAX_PACKET_S = 1.0
_MAX_AHEAD_S = 10.0
_MAX_UTTERANCES_AHEAD = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """How a stream hears. encoding: a key of SAMPLE_BYTES. pause_s: as in OpenStream."""

    model: str
    encoding: str = "pcm16"
    rate_hz: int = 24_000
    decode: Decode = field(default_factory=Decode)
    pause_s: float | None = None


def text_of(words: Sequence[LiveWord], *, is_first: bool) -> str:
    """Return words as text, with what stands before them unless a text begins with them."""
    text = "".join(word.gap + word.text for word in words)
    return text.removeprefix(words[0].gap) if is_first and words else text


class Live:
    """An open stream. Audio is whole samples only together: packets may end anywhere.

    received_s: the audio that was appended. utterance: how many were committed or cleared.
    """

    def __init__(self, service: Service, talk: Conversation, options: StreamOptions) -> None:
        self.options = options
        self.utterance = 0
        self._metrics, self._talk = service.metrics, talk
        self._bytes_per_s = options.rate_hz * SAMPLE_BYTES[options.encoding]
        self._unsent = bytearray()
        self._sent_bytes = 0
        self._heard_s = 0.0
        self._heard_utterances = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def received_s(self) -> float:
        """Seconds of audio that were appended."""
        return (self._sent_bytes + len(self._unsent)) / self._bytes_per_s

    @property
    def is_behind(self) -> bool:
        """Whether the client should wait before it appends more."""
        return (
            self.received_s - self._heard_s > _MAX_AHEAD_S
            or self.utterance - self._heard_utterances > _MAX_UTTERANCES_AHEAD
        )

    def append(self, content: bytes) -> None:
        """Take the next audio."""
        self._unsent += content
        if len(self._unsent) >= _PACKET_S * self._bytes_per_s:
            self._flush()
        elif self._unsent and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PACKET_S, self._flush)

    def commit(self) -> None:
        """End the utterance; the answer is a Heard with ``is_final``."""
        self._flush()
        self._unsent.clear()
        self._talk.send(Commit(id=self._talk.id))
        self.utterance += 1

    def clear(self) -> None:
        """Forget the utterance."""
        self._flush()
        self._unsent.clear()
        self._talk.send(Clear(id=self._talk.id))
        self.utterance += 1

    async def receive(self) -> Heard:
        """Return what was heard next. Raises ServeError."""
        heard = await self._talk.receive()
        assert isinstance(heard, Heard)
        self._heard_s, self._heard_utterances = heard.audio_s, heard.utterance + heard.is_final
        if heard.committed:
            self._metrics.stream_lag_s.observe(time.monotonic() - heard.came)
        return heard

    def close(self) -> None:
        """Send nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush(self) -> None:
        """Pass on all whole samples."""
        self.close()
        whole = len(self._unsent) - len(self._unsent) % SAMPLE_BYTES[self.options.encoding]
        step = round(_MAX_PACKET_S * self.options.rate_hz) * SAMPLE_BYTES[self.options.encoding]
        for begin in range(0, whole, step):
            content = bytes(self._unsent[begin : min(begin + step, whole)])
            self._talk.send(Audio(id=self._talk.id, content=content))
        del self._unsent[:whole]
        self._sent_bytes += whole
        self._metrics.audio_s.labels("live").inc(whole / self._bytes_per_s)


@asynccontextmanager
async def open_stream(service: Service, options: StreamOptions) -> AsyncIterator[Live]:
    """Open a stream, and close it at the end. Raises ServeError."""
    async with service.process.conversation() as talk:
        request = OpenStream(
            id=talk.id,
            model=options.model,
            encoding=options.encoding,
            rate_hz=options.rate_hz,
            decode=options.decode,
            pause_s=options.pause_s,
            chunk_s=service.settings.chunk_s,
        )
        talk.send(request)
        opened = await talk.receive()
        assert isinstance(opened, Opened)
        live = Live(service, talk, options)
        try:
            yield live
        finally:
            live.close()
