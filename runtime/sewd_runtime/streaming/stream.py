"""Transcription of live speech: one stream, or many that share a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Samples
from sewd_runtime.audio.reading import check_block
from sewd_runtime.audio.resampling import Resampler
from sewd_runtime.decode import Decoder, log_softmax
from sewd_runtime.errors import AudioValueError, StreamFinishedError
from sewd_runtime.inference.network import Network
from sewd_runtime.streaming.chunking import Chunker, SpeechTurn, Streaming, StreamWindow
from sewd_runtime.streaming.committing import Committer
from sewd_runtime.text.frames import FrameClock
from sewd_runtime.text.transcript import Word
from sewd_runtime.text.vocabulary import Vocabulary

__all__ = ["Partial", "Stream", "Streaming", "Turn", "feed_streams", "finish_streams"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Speech begins or ends in a stream.

    time_s: when, from the start of the stream. after: how many of the committed words of its ``Partial`` come
    before it: a turn ends after its last word.
    """

    begins: bool
    time_s: float
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """What a stream has recognized; times count from the start of the stream.

    committed: the words that became final since the last ``Partial``; they never change.
    pending: all words after the committed ones; they may still change.
    turns: where speech began and ended since the last ``Partial``, in order.
    """

    committed: tuple[Word, ...]
    pending: tuple[Word, ...]
    turns: tuple[Turn, ...] = ()


class Stream:
    """A live transcription, made by ``Recognizer.stream``.

    Where blocks end never changes the text. A stream keeps its left context and what is not committed yet,
    not the words it has returned, so its memory does not grow. Use it from one thread at a time.
    """

    def __init__(
        self,
        network: Network,
        vocabulary: Vocabulary,
        *,
        decoder: Decoder,
        streaming: Streaming,
        sample_rate_hz: int | None = None,
    ) -> None:
        manifest = network.manifest
        rate_hz = manifest.sample_rate_hz
        self.network = network
        self.is_finished = False
        self._vocabulary = vocabulary
        self._resampler = Resampler(
            rate_hz if sample_rate_hz is None else sample_rate_hz, rate_hz, name="the stream"
        )
        self._chunker = Chunker(streaming, manifest)
        self._committer = Committer(
            decoder, vocabulary, FrameClock(stride=manifest.stride, sample_rate_hz=rate_hz)
        )
        self._segment = 0  # the frame at which it begins
        self._committed: list[Word] = []
        self._pending: list[Word] = []
        self._turns: list[Turn] = []

    def feed(self, samples: NDArray[Any]) -> Partial:
        """Take the next block, of any size, and return the new words.

        samples: an array as in ``read_audio``, at the stream's rate; it may be empty. Raises
        AudioValueError, which leaves the stream as it was, StreamFinishedError, InferenceError.
        """
        [partial] = feed_streams([self], [samples])
        return partial

    def finish(self) -> Partial:
        """End the stream and commit all words. Raises StreamFinishedError, InferenceError."""
        [partial] = finish_streams([self])
        return partial

    def _check(self, samples: NDArray[Any]) -> Samples:
        """Return a block as samples at its own rate; raise if it cannot be used."""
        self._refuse_finished()
        return check_block(samples, "the block")

    def _refuse_finished(self) -> None:
        if self.is_finished:
            raise StreamFinishedError("the stream is finished; open another with Recognizer.stream")

    def _take(self, window: StreamWindow, logits: NDArray[np.float32]) -> None:
        """Commit the words that a window completes; logits: (frames, vocab) float32 of the whole window."""
        if window.begin != self._segment:
            self._segment = window.begin
            self._committer.begin(window.begin)
        turns = self._chunker.take_turns()
        # The last end is that of this window's speech, if it ends; what begins after it has no words yet.
        ends = [place for place, turn in enumerate(turns) if not turn.begins]
        before = ends[-1] if window.new is None and ends else len(turns)
        self._add_turns(turns[:before])
        log_probs = log_softmax(logits[window.known :])
        if window.new is None:
            self._committed += self._committer.advance(log_probs) + self._committer.finish()
            self._pending = []
            self._add_turns(turns[before:])
            return
        self._committed += self._committer.advance(log_probs[: window.new])
        self._pending = self._committer.pending(log_probs[window.new :])

    def _add_turns(self, turns: Sequence[SpeechTurn]) -> None:
        after = len(self._committed)
        self._turns += [Turn(begins=turn.begins, time_s=turn.time_s, after=after) for turn in turns]

    def _partial(self) -> Partial:
        self._add_turns(self._chunker.take_turns())
        partial = Partial(
            committed=tuple(self._committed), pending=tuple(self._pending), turns=tuple(self._turns)
        )
        self._committed, self._turns = [], []
        return partial


def feed_streams(streams: Sequence[Stream], blocks: Sequence[NDArray[Any]]) -> list[Partial]:
    """Feed each stream its next block; windows of several streams run as one batch.

    streams: of one recognizer, each once. blocks: one for each stream, as in ``Stream.feed``; if one cannot
    be used, AudioValueError is raised and no stream changes. Each stream gives the words it would give alone,
    up to the rounding of a batch.
    """
    _refuse_unfit(streams)
    if len(streams) != len(blocks):
        raise AudioValueError(f"{len(blocks)} blocks for {len(streams)} streams; give one for each")
    checked = [stream._check(block) for stream, block in zip(streams, blocks, strict=True)]
    for stream, samples in zip(streams, checked, strict=True):
        stream._chunker.push(stream._resampler.feed(samples))
    while _run(streams, [stream._chunker.due() for stream in streams]):
        pass
    return [stream._partial() for stream in streams]


def finish_streams(streams: Sequence[Stream]) -> list[Partial]:
    """Finish each stream; their last windows run as one batch. streams: as in ``feed_streams``."""
    _refuse_unfit(streams)
    for stream in streams:
        stream._refuse_finished()
    for stream in streams:
        stream._chunker.push(stream._resampler.finish())
        stream.is_finished = True
    while _run(streams, [stream._chunker.due() for stream in streams]):
        pass
    _run(streams, [stream._chunker.finish() for stream in streams])
    return [stream._partial() for stream in streams]


def _refuse_unfit(streams: Sequence[Stream]) -> None:
    if len({id(stream) for stream in streams}) < len(streams):
        raise AudioValueError("a stream is given twice; join its blocks")
    if len({id(stream.network) for stream in streams}) > 1:
        raise AudioValueError(
            "the streams belong to several recognizers; feed those of each in a call of their own"
        )


def _run(streams: Sequence[Stream], windows: Sequence[StreamWindow | None]) -> bool:
    """Run the windows that are due, one or none of each stream; return whether there were any."""
    due = [(stream, window) for stream, window in zip(streams, windows, strict=True) if window is not None]
    if not due:
        return False
    outputs = due[0][0].network.run_frames([window.samples for _, window in due])
    for (stream, window), logits in zip(due, outputs, strict=True):
        stream._take(window, logits)
    return True
