"""Live streams: encoded audio in, words out; the windows of several streams run together."""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.recognizer import Recognizer
from sewd_runtime.streaming.stream import Partial, Stream, Streaming, feed_streams, finish_streams
from sewd_runtime.text.scripts import gap_between
from sewd_runtime.text.transcript import Word
from sewd_serve.worker.companding import decode_samples
from sewd_serve.worker.decoding import decoder_of
from sewd_serve.worker.messages import (
    SAMPLE_BYTES,
    Audio,
    Clear,
    Commit,
    Heard,
    LiveTurn,
    LiveWord,
    Opened,
    OpenStream,
    Reply,
)

_TAKE_S = 1.0
"""How much audio of a stream runs before it is another's turn."""

_REPORT_S = 2.0
"""After so much audio a stream reports even if it heard nothing new, so that its client may send more."""


class LiveStream:
    """One client's stream: utterance after utterance, each a Stream of its own.

    inbox: what it has been sent and has not done yet. is_running: a worker has it. is_cancelled: it is
    closed.
    """

    def __init__(self, request: OpenStream, model: Recognizer, send: Callable[[Reply], None]) -> None:
        """Open it. Raises DecodingError, AudioValueError."""
        self.request, self.model = request, model
        self.inbox: deque[tuple[Audio | Commit | Clear, float]] = deque()
        self.is_running = self.is_cancelled = False
        self._send = send
        self._decoder = decoder_of(request.decode, model.decoders)
        pause_s = request.pause_s
        pauses = (
            {}
            if pause_s is None
            else {"pause_s": pause_s, "margin_s": min(Streaming().margin_s, pause_s / 2)}
        )
        self._streaming = Streaming(chunk_s=request.chunk_s, **pauses)
        self._heard_s = 0.0  # all audio fed
        self._offset_s = 0.0  # where this utterance began
        self._last = ""  # the word of the utterance that was committed last
        self._pending: tuple[Word, ...] = ()
        self._reported_s = 0.0
        self._utterance = 0
        self.stream = self._open()
        send(Opened(id=request.id))

    def _open(self) -> Stream:
        return self.model.stream(
            sample_rate_hz=self.request.rate_hz, decoder=self._decoder, streaming=self._streaming
        )

    def take_audio(self) -> tuple[NDArray[np.int16], float]:
        """Return some samples up to the next Commit or Clear, perhaps none, and when the newest came."""
        contents, newest = bytearray(), time.monotonic()
        most = _TAKE_S * self.request.rate_hz * SAMPLE_BYTES[self.request.encoding]
        while self.inbox and isinstance(self.inbox[0][0], Audio) and len(contents) < most:
            message, newest = self.inbox.popleft()
            assert isinstance(message, Audio)
            contents += message.content
        samples = decode_samples(bytes(contents), self.request.encoding)
        self._heard_s += len(samples) / self.request.rate_hz
        return samples, newest

    def take_mark(self) -> Commit | Clear | None:
        """Return the Commit or Clear that comes next, if one does."""
        if self.inbox and not isinstance(self.inbox[0][0], Audio):
            message, _ = self.inbox.popleft()
            assert not isinstance(message, Audio)
            return message
        return None

    def begin_utterance(self) -> None:
        """Forget the utterance under way."""
        self._offset_s = self._heard_s
        self._utterance += 1
        self._last = ""
        self._pending = ()
        self._reported_s = -math.inf
        self.stream = self._open()

    def report(self, partial: Partial, *, came: float, is_final: bool) -> None:
        """Send what was recognized, unless it is nothing new."""
        is_new = partial.committed or partial.turns or is_final or partial.pending != self._pending
        if is_new or self._heard_s - self._reported_s >= _REPORT_S:
            self._reported_s = self._heard_s
            committed = self._words(partial.committed)
            self._last = committed[-1].text if committed else self._last
            self._send(
                Heard(
                    id=self.request.id,
                    committed=committed,
                    pending=self._words(partial.pending),
                    turns=tuple(
                        LiveTurn(begins=turn.begins, time_s=turn.time_s + self._offset_s, after=turn.after)
                        for turn in partial.turns
                    ),
                    utterance=self._utterance,
                    is_final=is_final,
                    audio_s=self._heard_s,
                    came=came,
                )
            )
        self._pending = partial.pending

    def _words(self, words: Sequence[Word]) -> tuple[LiveWord, ...]:
        """Return words that follow those committed before."""
        is_spaced = self.model.vocabulary.word_delimiter_id is not None
        texts = [self._last, *(word.text for word in words)]
        return tuple(
            LiveWord(
                gap=gap_between(before, word.text) if is_spaced else "",
                text=word.text,
                start_s=word.start_s + self._offset_s,
                end_s=word.end_s + self._offset_s,
                confidence=word.confidence,
            )
            for before, word in zip(texts, words, strict=False)
        )


def run_streams(streams: Sequence[LiveStream]) -> None:
    """Do what the inboxes of some streams of one model hold. Raises InferenceError, AudioValueError."""
    taken = [stream.take_audio() for stream in streams]
    partials = feed_streams([stream.stream for stream in streams], [samples for samples, _ in taken])
    for stream, partial, (_, came) in zip(streams, partials, taken, strict=True):
        stream.report(partial, came=came, is_final=False)
    marks = [(stream, stream.take_mark()) for stream in streams]
    ended = [stream for stream, mark in marks if isinstance(mark, Commit)]
    now = time.monotonic()
    for stream, partial in zip(ended, finish_streams([each.stream for each in ended]), strict=True):
        stream.report(partial, came=now, is_final=True)
    for stream, mark in marks:
        if mark is not None:
            stream.begin_utterance()
        if isinstance(mark, Clear):
            stream.report(Partial(committed=(), pending=()), came=now, is_final=False)
