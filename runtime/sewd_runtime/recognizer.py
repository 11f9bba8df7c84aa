"""Speech to text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sewd_runtime._types import AudioSource, Output, Samples
from sewd_runtime.bundle import Manifest
from sewd_runtime.decode import Decoder, Greedy, Hypothesis, log_softmax
from sewd_runtime.engine import Engine
from sewd_runtime.frames import FrameClock
from sewd_runtime.segmentation import SEGMENTATION, Segmentation, find_regions
from sewd_runtime.stream import Stream, Streaming
from sewd_runtime.transcript import Segment, Transcript
from sewd_runtime.vocabulary import Vocabulary

_GREEDY = Greedy()
_STREAMING = Streaming()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognizer:
    """A CTC model: speech to text."""

    engine: Engine
    vocabulary: Vocabulary

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self.engine.manifest

    def transcribe(
        self,
        audio: AudioSource,
        *,
        sample_rate_hz: int | None = None,
        decoder: Decoder = _GREEDY,
        segmentation: Segmentation = SEGMENTATION,
    ) -> Transcript:
        """Transcribe one recording, a path, bytes, binary file or array as in ``read_audio``.

        sample_rate_hz: the rate of an array, the model's if None. decoder: how tokens are chosen.
        segmentation: of a recording too long to run whole; a path is read in blocks, so any length takes the
        same memory. Audio too short for one frame gives an empty transcript. Raises AudioError,
        InferenceError, and OSError for a path that cannot be opened.
        """
        [transcript] = self.transcribe_batch(
            [audio], sample_rate_hz=sample_rate_hz, decoder=decoder, segmentation=segmentation
        )
        return transcript

    def transcribe_batch(
        self,
        audios: Sequence[AudioSource],
        *,
        sample_rate_hz: int | None = None,
        decoder: Decoder = _GREEDY,
        segmentation: Segmentation = SEGMENTATION,
    ) -> list[Transcript]:
        """Transcribe several recordings, the results in their order and the same as one by one."""
        longest = round(segmentation.whole_s * self.manifest.sample_rate_hz)
        sources = [self.engine.hold(audio, sample_rate_hz) for audio in audios]
        found = [self.engine.peek(*source, longest=longest) for source in sources]
        whole = iter(self._transcribe_whole([samples for samples in found if samples is not None], decoder))
        return [
            self._transcribe_long(*source, decoder, segmentation) if samples is None else next(whole)
            for source, samples in zip(sources, found, strict=True)
        ]

    def _transcribe_whole(self, recordings: Sequence[Samples], decoder: Decoder) -> list[Transcript]:
        manifest, vocabulary = self.manifest, self.vocabulary
        hypotheses = [Hypothesis() for _ in recordings]
        for indices, logits, lengths in self.engine.run_batches(recordings):
            decoded = decoder.decode(log_softmax(logits), lengths, vocabulary)
            for index, hypothesis in zip(indices, decoded, strict=True):
                hypotheses[index] = hypothesis
        clock = FrameClock(stride=manifest.stride, sample_rate_hz=manifest.sample_rate_hz)
        return [
            Transcript.from_hypothesis(
                hypothesis,
                vocabulary=vocabulary,
                clock=clock,
                duration_s=len(samples) / manifest.sample_rate_hz,
            )
            for hypothesis, samples in zip(hypotheses, recordings, strict=True)
        ]

    def _transcribe_long(
        self,
        audio: AudioSource,
        sample_rate_hz: int | None,
        decoder: Decoder,
        segmentation: Segmentation,
    ) -> Transcript:
        rate_hz, num_samples = self.manifest.sample_rate_hz, 0

        def counted() -> Iterator[Samples]:
            nonlocal num_samples
            for block in self.engine.stream(audio, sample_rate_hz):
                num_samples += len(block)
                yield block

        segments: list[Segment] = []
        for region in find_regions(counted(), segmentation, sample_rate_hz=rate_hz):
            [transcript] = self._transcribe_whole([region.samples], decoder)
            segments += [segment.later(region.begin / rate_hz) for segment in transcript.segments]
        return Transcript(
            text=(" " if self.vocabulary.word_delimiter_id is not None else "").join(
                segment.text for segment in segments
            ),
            segments=tuple(segments),
            duration_s=num_samples / rate_hz,
        )

    def stream(
        self,
        *,
        sample_rate_hz: int | None = None,
        decoder: Decoder = _GREEDY,
        streaming: Streaming = _STREAMING,
    ) -> Stream:
        """Open a stream: speech to text while it is spoken, of any length.

        sample_rate_hz: the rate of the blocks that will be fed, the model's if None. Many streams share this
        model: ``stream.feed_streams`` runs what is due in all of them as batches. Raises AudioValueError.
        """
        return Stream(
            self.engine,
            self.vocabulary,
            decoder=decoder,
            streaming=streaming,
            sample_rate_hz=sample_rate_hz,
        )

    def logits(self, recordings: Sequence[Samples]) -> list[Output]:
        """Return the logits of each recording, ``(frames, vocab)`` float32; no frames where it is too short.

        recordings: each (samples,) float32 at the model's rate.
        """
        return self.engine.run_frames(recordings)
