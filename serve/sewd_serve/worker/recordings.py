"""Uploaded recordings as pieces of work: read, run in a batch or step by step, answered."""

import time
from collections.abc import Callable, Iterator, Sequence
from io import BufferedReader, FileIO
from typing import BinaryIO, cast

import numpy as np

from sewd_runtime._types import Output, Samples
from sewd_runtime.audio.reading import stream_audio
from sewd_runtime.classifier import Classifier
from sewd_runtime.long.segmentation import SEGMENTATION, Segmentation
from sewd_runtime.long.steps import Step
from sewd_runtime.recognizer import Recognizer
from sewd_runtime.text.scripts import join_texts
from sewd_runtime.text.transcript import Segment, Transcript
from sewd_serve.worker.decoding import body_of, classification_of, decoder_of
from sewd_serve.worker.messages import Classify, Delta, Done, Reply, Transcribe, Usage

MAX_CHANNELS = 32

_SKIPPING_SILENCE = Segmentation(whole_s=0)


class Recording:
    """A recording on its way through the scheduler.

    samples: all of one that runs whole, once it was read; a long one runs step by step.
    queued: when it joined the queue of its kind, in seconds of the monotonic clock.
    is_long: it is too long to run whole; a classifier takes any recording whole.
    is_under_way: it runs step by step, and has begun, so that a part of it is in memory.
    is_cancelled: nobody waits for it any more. notes: warnings about it, for the answer.
    """

    def __init__(
        self, request: Transcribe | Classify, model: Recognizer | Classifier, send: Callable[[Reply], None]
    ) -> None:
        """Take a request for a model. Raises DecodingError."""
        self.request, self.model = request, model
        self.samples: Samples | None = None
        self.is_long = self.is_under_way = self.is_cancelled = False
        self.notes: list[str] = []
        self.queued = self._arrived = time.monotonic()
        self._decoder = (
            decoder_of(request.decode, model.decoders)
            if isinstance(request, Transcribe) and isinstance(model, Recognizer)
            else None
        )
        self._send = send
        self._file: BufferedReader | None = None
        self._steps: Iterator[Step] = iter(())
        self._done: list[Step] = []
        self._last_text = ""
        self._queue_s = 0.0
        self._run_s = 0.0

    @property
    def read_samples(self) -> Samples:
        """The samples of one that runs whole and was read."""
        assert self.samples is not None
        return self.samples

    def read(self) -> None:
        """Read all of it, or find that it will run step by step. Raises AudioError, OSError."""
        rate_hz = self.model.manifest.sample_rate_hz
        begin: list[Samples] = []
        num_samples = 0
        for block in self._open():
            begin.append(block)
            num_samples += len(block)
            self.is_long = num_samples > SEGMENTATION.whole_s * rate_hz and isinstance(
                self.request, Transcribe
            )
            if self.is_long:
                break
        self.close()
        if self.is_long or self._skips_silence:
            self._steps = self._run()
            self.notes.clear()  # they come again
        else:
            self.samples = np.concatenate(begin)

    def _open(self) -> Iterator[Samples]:
        """Return its samples block by block."""
        self._file = BufferedReader(_Upload(self.request.path))
        return stream_audio(
            cast(BinaryIO, self._file),
            target_rate_hz=self.model.manifest.sample_rate_hz,
            max_duration_s=self.request.max_duration_s,
            max_channels=MAX_CHANNELS,
        )

    def _run(self) -> Iterator[Step]:
        """Run step by step, from the beginning: what was read to see its length is not kept until then."""
        assert isinstance(self.model, Recognizer) and self._decoder is not None
        segmentation = _SKIPPING_SILENCE if self._skips_silence else SEGMENTATION
        yield from self.model.steps(self._open(), decoder=self._decoder, segmentation=segmentation)

    def close(self) -> None:
        """Close its file. What runs is not disturbed: call it when nothing does."""
        if self._file is not None:
            self._file.close()

    @property
    def _skips_silence(self) -> bool:
        return isinstance(self.request, Transcribe) and self.request.vad

    def step(self) -> bool:
        """Run the next step of a long recording and send its text; return whether it was the last."""
        assert isinstance(self.model, Recognizer)
        began = time.monotonic()
        if not self._done:
            self._queue_s = began - self._arrived
        step = next(self._steps, None)
        self._run_s += time.monotonic() - began
        self.queued = time.monotonic()
        if step is None:
            self._answer_with(self.model.join(self._done), batch=1)
            return True
        self._done.append(step)
        self._send_deltas(step.segments)
        return False

    def finish(self, logits: Output, *, run_s: float, batch: int) -> None:
        """Answer with what the model returned for one that ran whole; run_s, batch: of its batch."""
        self._run_s = run_s
        self._queue_s = max(0.0, time.monotonic() - self._arrived - run_s)
        if isinstance(self.model, Recognizer):
            assert self._decoder is not None
            [transcript] = self.model.transcripts([logits], [self.read_samples], decoder=self._decoder)
            self._send_deltas(transcript.segments)
            self._answer_with(transcript, batch)
            return
        assert isinstance(self.request, Classify)
        classification = self.model.classification(logits)
        body = classification_of(classification, self.request.top_k)
        duration_s = len(self.read_samples) / self.model.manifest.sample_rate_hz
        self._answer(classification.labels[0], body, duration_s, batch)

    def _answer_with(self, transcript: Transcript, batch: int) -> None:
        assert isinstance(self.request, Transcribe)
        self._answer(transcript.text, body_of(transcript, self.request), transcript.duration_s, batch)

    def _answer(self, text: str, body: object, duration_s: float, batch: int) -> None:
        if self.notes and isinstance(body, dict):
            body["warnings"] = self.notes
        usage = Usage(
            audio_s=duration_s,
            queue_s=self._queue_s,
            run_s=self._run_s,
            batch=batch,
        )
        self._send(Done(id=self.request.id, text=text, body=body, usage=usage))

    def _send_deltas(self, segments: Sequence[Segment]) -> None:
        """Send the text of each segment, with the space before it; joined, they are the transcript's text."""
        assert isinstance(self.model, Recognizer)
        is_spaced = self.model.vocabulary.word_delimiter_id is not None
        for segment in segments:
            text = segment.text
            if is_spaced:
                text = join_texts([self._last_text, text])[len(self._last_text) :]
            self._last_text = segment.text
            self._send(Delta(id=self.request.id, text=text))


class _Upload(FileIO):
    """An uploaded file; messages about it do not show its path."""

    name = property(lambda _: "the file", lambda _, path: None)
