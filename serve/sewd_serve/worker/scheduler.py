"""What each worker runs next.

Live audio goes first, then recordings in the order of their arrival. A recording that runs whole is batched
with those of similar length that wait at that moment; none waits for a batch to fill. A long one runs step by
step, joins the end of the queue after each, and lets whole ones go first for a while; only a few of them are
under way at once.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Condition, Thread, current_thread
from typing import TypeAlias

from sewd_runtime.classifier import Classifier
from sewd_runtime.errors import SewdError
from sewd_runtime.inference.batching import plan_batches
from sewd_runtime.recognizer import Recognizer
from sewd_serve.worker.live import LiveStream, run_streams
from sewd_serve.worker.messages import (
    Audio,
    Cancel,
    Classify,
    Clear,
    Commit,
    Failed,
    OpenStream,
    Ping,
    Pong,
    Ready,
    Reload,
    Reply,
    Request,
    Transcribe,
)
from sewd_serve.worker.models import Models
from sewd_serve.worker.notes import noting
from sewd_serve.worker.recordings import Recording

Task: TypeAlias = Callable[[], None]

_READ_AHEAD_SAMPLES = 5_000_000
"""Samples that are read and wait to run: enough for batches of similar length, 20 MB."""

_LONG_WAITS_S = 2.0
"""How long a step of a long recording lets whole ones go first that came after it."""

_STEPPED_AT_ONCE = 8
"""Long recordings under way, unless there are more workers, and as many short ones that skip silence.

Each has about a minute in memory, and the others wait in the order of their arrival.
"""

_STREAMS_AT_ONCE = 4
"""Streams that one worker takes together. On a CPU their windows fill no batch, so more would only wait."""

_LOG = logging.getLogger("sewd.serve")


class Scheduler:
    """The queue and its workers.

    send: takes every reply, from any thread.
    """

    def __init__(self, models: Models, *, workers: int, send: Callable[[Reply], None]) -> None:
        self._models, self._send = models, send
        self._changed = Condition()
        self._recordings: dict[int, Recording] = {}
        self._unread: deque[Recording] = deque()
        self._read: list[Recording] = []
        self._long: deque[Recording] = deque()
        self._streams: dict[int, LiveStream] = {}
        self._live: deque[LiveStream] = deque()  # those with work, in the order in which it came
        self._began: dict[Thread, float] = {}  # of the tasks that run
        self._workers = [Thread(target=self._work, daemon=True) for _ in range(workers)]
        for worker in self._workers:
            worker.start()

    def handle(self, request: Request) -> None:
        """Take a request; errors are replies too."""
        try:
            match request:
                case Transcribe():
                    self._add_recording(request, self._models.recognizer(request.model))
                case Classify():
                    self._add_recording(request, self._models.classifier(request.model))
                case OpenStream():
                    model = self._models.recognizer(request.model)
                    self._streams[request.id] = LiveStream(request, model, self._send)
                case Audio() | Commit() | Clear():
                    self._add_to_stream(request)
                case Cancel():
                    self._cancel(request.id)
                case Reload():
                    Thread(target=self._reload, args=(request.id,), daemon=True).start()
                case Ping():
                    self._send(self._pong(request.id))
        except Exception as error:
            self._send(failure(request.id, error))

    def _add_recording(self, request: Transcribe | Classify, model: Recognizer | Classifier) -> None:
        recording = Recording(request, model, self._send)
        with self._changed:
            self._recordings[request.id] = recording
            self._unread.append(recording)
            self._changed.notify()

    def _add_to_stream(self, message: Audio | Commit | Clear) -> None:
        with self._changed:
            stream = self._streams.get(message.id)
            if stream is None:
                return  # it has failed or was closed
            stream.inbox.append((message, time.monotonic()))
            if not stream.is_running and len(stream.inbox) == 1:
                self._live.append(stream)
                self._changed.notify()

    def _cancel(self, number: int) -> None:
        with self._changed:
            for known in (self._recordings, self._streams):
                cancelled = known.pop(number, None)
                if cancelled is not None:
                    cancelled.is_cancelled = True

    def _reload(self, number: int) -> None:
        try:
            self._models.reload()
            self._send(Ready(id=number, models=self._models.cards))
        except Exception as error:
            self._send(failure(number, error))

    def _pong(self, number: int) -> Pong:
        oldest = min(self._began.copy().values(), default=None)
        busy_s = 0.0 if oldest is None else time.monotonic() - oldest
        return Pong(id=number, busy_s=busy_s, workers=sum(worker.is_alive() for worker in self._workers))

    def _work(self) -> None:
        """Run one task after another, for ever."""
        worker = current_thread()
        while True:
            with self._changed:
                while (task := self._next()) is None:
                    self._changed.wait()
            self._began[worker] = time.monotonic()
            task()
            del self._began[worker]

    def _next(self) -> Task | None:
        """Return what to run now, None if nothing waits; the lock is held."""
        if self._live:
            streams = self._take_streams()
            return lambda: self._run_streams(streams)
        self._drop_cancelled()
        if self._unread and sum(len(each.read_samples) for each in self._read) < _READ_AHEAD_SAMPLES:
            recording = self._unread.popleft()
            return lambda: self._read_one(recording)
        long = self._next_long()
        if long is not None and (not self._read or long.queued + _LONG_WAITS_S < self._read[0].queued):
            self._long.remove(long)
            long.is_under_way = True
            return lambda: self._step(long)
        if self._read:
            batch = self._take_batch()
            return lambda: self._run_batch(batch)
        return None

    def _next_long(self) -> Recording | None:
        """Return the recording that runs its next step: one under way, or another if few of its kind are."""
        under_way = Counter(each.is_long for each in self._recordings.values() if each.is_under_way)
        most = max(_STEPPED_AT_ONCE, len(self._workers))
        ready = (each for each in self._long if each.is_under_way or under_way[each.is_long] < most)
        return next(ready, None)

    def _drop_cancelled(self) -> None:
        for recording in self._long:
            if recording.is_cancelled:
                recording.close()
        self._unread = deque(each for each in self._unread if not each.is_cancelled)
        self._read = [each for each in self._read if not each.is_cancelled]
        self._long = deque(each for each in self._long if not each.is_cancelled)

    def _take_batch(self) -> list[Recording]:
        """Take the recording that waits longest, and those of similar length for the same model."""
        oldest = self._read[0]
        same = [each for each in self._read if each.model is oldest.model]
        batches = plan_batches([len(each.read_samples) for each in same])
        [indices] = [batch for batch in batches if 0 in batch]
        batch = [same[index] for index in indices]
        self._read = [each for each in self._read if each not in batch]
        return batch

    def _take_streams(self) -> list[LiveStream]:
        """Take the stream that waits longest and a few others of the same model."""
        model = self._live[0].model
        streams = [stream for stream in self._live if stream.model is model][:_STREAMS_AT_ONCE]
        for stream in streams:
            self._live.remove(stream)
            stream.is_running = True
        return streams

    def _read_one(self, recording: Recording) -> None:
        with self._answering(recording):
            recording.read()
            with self._changed:
                if recording.samples is None:
                    self._long.append(recording)
                else:
                    self._read.append(recording)
                self._changed.notify()

    def _step(self, recording: Recording) -> None:
        with self._answering(recording):
            if recording.step():
                self._forget(recording)
                return
            with self._changed:
                self._long.append(recording)
                self._changed.notify()

    def _run_batch(self, batch: Sequence[Recording]) -> None:
        model, began = batch[0].model, time.monotonic()
        try:
            logits = model.logits([recording.read_samples for recording in batch])
        except Exception as error:
            for recording in batch:
                if len(batch) > 1:  # one of them spoils the batch
                    self._run_batch([recording])
                else:
                    self._fail(recording, error)
            return
        run_s = time.monotonic() - began
        for recording, frames in zip(batch, logits, strict=True):
            with self._answering(recording):
                recording.finish(frames, run_s=run_s, batch=len(batch))
                self._forget(recording)

    def _run_streams(self, streams: Sequence[LiveStream]) -> None:
        try:
            run_streams([stream for stream in streams if not stream.is_cancelled])
        except Exception as error:
            for stream in streams:
                self._streams.pop(stream.request.id, None)
                stream.is_cancelled = True
                self._send(failure(stream.request.id, error))
        with self._changed:
            for stream in streams:
                stream.is_running = False
                if stream.inbox and not stream.is_cancelled:
                    self._live.append(stream)
                    self._changed.notify()

    @contextmanager
    def _answering(self, recording: Recording) -> Iterator[None]:
        """Let an error be the recording's answer, and collect its warnings."""
        try:
            with noting(recording.notes):
                yield
        except Exception as error:
            self._fail(recording, error)

    def _forget(self, recording: Recording) -> None:
        recording.close()
        with self._changed:
            self._recordings.pop(recording.request.id, None)

    def _fail(self, recording: Recording, error: Exception) -> None:
        self._forget(recording)
        if isinstance(error, FileNotFoundError):  # its client has left, and Cancel is on its way
            reply = Failed(id=recording.request.id, kind="Removed", message="the recording was removed")
        else:
            reply = failure(recording.request.id, error)
        self._send(reply)


def failure(number: int, error: Exception) -> Failed:
    """Return the reply for an error; only those raised on purpose are told to clients."""
    if isinstance(error, SewdError):
        return Failed(id=number, kind=type(error).__name__, message=str(error))
    _LOG.error("unexpected error", exc_info=error)
    reason = error.strerror if isinstance(error, OSError) else None
    return Failed(id=number, kind="InternalError", message=reason or "an error that is in the server's log")
