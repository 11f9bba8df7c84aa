"""Speech to text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from sewd_runtime._types import AudioSource, Output, Samples
from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.bundle.manifest import VOCAB_NAME
from sewd_runtime.decode import Decoder, Greedy, Hypothesis, align_tokens, log_softmax
from sewd_runtime.inference.network import Network
from sewd_runtime.long.emission import emission_of
from sewd_runtime.long.segmentation import SEGMENTATION, Segmentation
from sewd_runtime.long.steps import Step, joined, transcribe_long
from sewd_runtime.model import Model, read_json
from sewd_runtime.streaming.stream import Stream, Streaming
from sewd_runtime.text.frames import FrameClock
from sewd_runtime.text.times import find_quiet, fit_transcript
from sewd_runtime.text.transcript import Segment, Transcript
from sewd_runtime.text.vocabulary import Vocabulary

_GREEDY = Greedy()
_STREAMING = Streaming()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognizer(Model):
    """A CTC model: speech to text."""

    task: ClassVar[str] = "ctc"
    network: Network
    vocabulary: Vocabulary

    @classmethod
    def from_network(cls, network: Network) -> "Recognizer":
        """Add the vocabulary of the bundle. Raises VocabularyError."""
        return cls(network=network, vocabulary=read_vocabulary(network.bundle))

    def transcribe(
        self,
        audio: AudioSource,
        *,
        sample_rate_hz: int | None = None,
        decoder: Decoder = _GREEDY,
        segmentation: Segmentation = SEGMENTATION,
        characters: bool = False,
    ) -> Transcript:
        """Transcribe one recording, a path, bytes, binary file or array as in ``read_audio``.

        sample_rate_hz: the rate of an array, the model's if None. decoder: how tokens are chosen.
        segmentation: of a recording too long to run whole; a path is read in blocks, so any length takes the
        same memory. characters: of every word too. Audio too short for one frame gives an empty transcript.
        Raises AudioError, InferenceError, and OSError for a path that cannot be opened.
        """
        [transcript] = self.transcribe_batch(
            [audio],
            sample_rate_hz=sample_rate_hz,
            decoder=decoder,
            segmentation=segmentation,
            characters=characters,
        )
        return transcript

    def segments(
        self,
        audio: AudioSource,
        *,
        sample_rate_hz: int | None = None,
        decoder: Decoder = _GREEDY,
        segmentation: Segmentation = SEGMENTATION,
        characters: bool = False,
    ) -> Iterator[Segment]:
        """Yield the segments of ``transcribe`` in order, those of a long recording as soon as they are known.

        About a minute of it runs together, so that is how far behind what was read a segment may be.
        """
        longest = round(segmentation.whole_s * self.manifest.sample_rate_hz)
        source = self.network.hold(audio, sample_rate_hz)
        samples = self.network.peek(*source, longest=longest)
        if samples is not None:
            yield from self._transcribe_whole([samples], decoder, characters)[0].segments
            return
        for step in self._steps(*source, decoder, segmentation, characters):
            yield from step.segments

    def transcribe_batch(
        self,
        audios: Sequence[AudioSource],
        *,
        sample_rate_hz: int | None = None,
        decoder: Decoder = _GREEDY,
        segmentation: Segmentation = SEGMENTATION,
        characters: bool = False,
    ) -> list[Transcript]:
        """Transcribe several recordings, the results in their order and the same as one by one."""
        longest = round(segmentation.whole_s * self.manifest.sample_rate_hz)
        sources = [self.network.hold(audio, sample_rate_hz) for audio in audios]
        found = [self.network.peek(*source, longest=longest) for source in sources]
        short = [samples for samples in found if samples is not None]
        whole = iter(self._transcribe_whole(short, decoder, characters))
        return [
            self._transcribe_long(*source, decoder, segmentation, characters)
            if samples is None
            else next(whole)
            for source, samples in zip(sources, found, strict=True)
        ]

    def align(
        self,
        audio: AudioSource,
        text: str,
        *,
        sample_rate_hz: int | None = None,
        segmentation: Segmentation = SEGMENTATION,
        characters: bool = False,
    ) -> Transcript:
        """Return when each word of a known text is spoken; the text must be all that is said.

        As ``transcribe`` otherwise, and of any length: what is held grows with the text and the square root
        of the audio's length, besides the log-probabilities. Raises TextError for what the model cannot
        write, AlignmentError for a text too long for the audio.
        """
        token_ids = self.vocabulary.encode(text)
        blank_id = self.vocabulary.blank_id
        emission = emission_of(
            self.network, audio, sample_rate_hz, segmentation=segmentation, blank_id=blank_id
        )
        path = align_tokens(
            emission.log_probs, token_ids, blank_id=blank_id, canonical_ids=self.vocabulary.canonical_ids
        )
        transcript = self._written(path, emission.duration_s, characters)
        return fit_transcript(transcript, emission.quiet)

    def _written(self, hypothesis: Hypothesis, duration_s: float, characters: bool) -> Transcript:
        clock = FrameClock(stride=self.manifest.stride, sample_rate_hz=self.manifest.sample_rate_hz)
        return Transcript.from_hypothesis(
            hypothesis,
            vocabulary=self.vocabulary,
            clock=clock,
            duration_s=duration_s,
            characters=characters,
        )

    def _transcribe_whole(
        self, recordings: Sequence[Samples], decoder: Decoder, characters: bool
    ) -> list[Transcript]:
        rate_hz, vocabulary = self.manifest.sample_rate_hz, self.vocabulary
        hypotheses = [Hypothesis() for _ in recordings]
        for indices, logits, lengths in self.network.run_batches(recordings):
            decoded = decoder.decode(log_softmax(logits), lengths, vocabulary)
            for index, hypothesis in zip(indices, decoded, strict=True):
                hypotheses[index] = hypothesis
        return [
            fit_transcript(
                self._written(hypothesis, len(samples) / rate_hz, characters), find_quiet(samples, rate_hz)
            )
            for hypothesis, samples in zip(hypotheses, recordings, strict=True)
        ]

    def _steps(
        self,
        audio: AudioSource,
        sample_rate_hz: int | None,
        decoder: Decoder,
        segmentation: Segmentation,
        characters: bool,
    ) -> Iterator[Step]:
        return transcribe_long(
            self.network.stream(audio, sample_rate_hz),
            network=self.network,
            vocabulary=self.vocabulary,
            decoder=decoder,
            segmentation=segmentation,
            characters=characters,
        )

    def _transcribe_long(
        self,
        audio: AudioSource,
        sample_rate_hz: int | None,
        decoder: Decoder,
        segmentation: Segmentation,
        characters: bool,
    ) -> Transcript:
        steps = list(self._steps(audio, sample_rate_hz, decoder, segmentation, characters))
        segments = [segment for step in steps for segment in step.segments]
        duration_s = steps[-1].num_samples / self.manifest.sample_rate_hz
        return joined(segments, vocabulary=self.vocabulary, duration_s=duration_s)

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
            self.network,
            self.vocabulary,
            decoder=decoder,
            streaming=streaming,
            sample_rate_hz=sample_rate_hz,
        )

    def logits(self, recordings: Sequence[Samples]) -> list[Output]:
        """Return the logits of each recording, ``(frames, vocab)`` float32; no frames where it is too short.

        recordings: each (samples,) float32 at the model's rate.
        """
        return self.network.run_frames(recordings)


def read_vocabulary(bundle: Bundle) -> Vocabulary:
    """Read the vocabulary of a bundle whose task is ctc. Raises VocabularyError."""
    manifest = bundle.manifest
    assert manifest.ctc is not None  # the manifest was checked
    tokens: dict[str, int] = read_json(bundle, VOCAB_NAME, dict[str, int])
    return Vocabulary.from_manifest(tokens, manifest.ctc, manifest.num_outputs)
