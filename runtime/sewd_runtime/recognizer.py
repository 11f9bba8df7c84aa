"""Speech to text."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, overload

import numpy as np

from sewd_runtime._types import AudioSource, Output, Samples
from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.bundle.manifest import VOCAB_NAME
from sewd_runtime.decode import Decoder, log_softmax
from sewd_runtime.decode.bundled import BundleDecoders
from sewd_runtime.errors import SewdError
from sewd_runtime.inference.network import Network
from sewd_runtime.inference.pipeline import run_recordings
from sewd_runtime.long.aligning import align_recording
from sewd_runtime.long.segmentation import SEGMENTATION, Segmentation
from sewd_runtime.long.steps import Decoding, Step, decode_stretches, open_recording, run_steps
from sewd_runtime.long.windows import START, Place, Stretch
from sewd_runtime.model import Model, as_batch, read_json
from sewd_runtime.streaming.stream import Stream, Streaming
from sewd_runtime.text.scripts import join_texts
from sewd_runtime.text.transcript import Segment, Transcript
from sewd_runtime.text.vocabulary import Vocabulary

_STREAMING = Streaming()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Recognizer(Model):
    """A CTC model: speech to text.

    decoders: those of its bundle, which may have a language model.
    """

    task: ClassVar[str] = "ctc"
    network: Network
    vocabulary: Vocabulary
    decoders: BundleDecoders

    @classmethod
    def from_network(cls, network: Network) -> "Recognizer":
        """Add the vocabulary of the bundle. Raises VocabularyError."""
        bundle = network.bundle
        return cls(network=network, vocabulary=read_vocabulary(bundle), decoders=BundleDecoders(bundle))

    def transcribe(
        self,
        audio: AudioSource,
        *,
        sample_rate_hz: int | None = None,
        decoder: Decoder | None = None,
        segmentation: Segmentation = SEGMENTATION,
        characters: bool = False,
    ) -> Transcript:
        """Transcribe one recording: a path, bytes, binary file, array or iterator of blocks.

        sample_rate_hz: the rate of arrays, the model's if None.
        decoder: chooses the tokens; None: the default of the bundle, ``decoders.default()``.
        segmentation: how a recording too long to run whole is split. A path or an iterator is read block by
            block, so memory does not grow with the length.
        characters: add the characters of each word with their times.
        Audio too short for one frame gives an empty transcript.
        Raises AudioError, DecodingError, InferenceError, and OSError for a path that cannot be opened.
        """
        decoding = self._decoding(decoder, segmentation, characters)
        return self.join(self._steps(audio, sample_rate_hz, decoding))

    def segments(
        self,
        audio: AudioSource,
        *,
        sample_rate_hz: int | None = None,
        decoder: Decoder | None = None,
        segmentation: Segmentation = SEGMENTATION,
        characters: bool = False,
    ) -> Iterator[Segment]:
        """Yield the segments of ``transcribe`` in order, those of a long recording as soon as they are known.

        About a minute of audio runs together, so a segment comes up to a minute after it was read.
        """
        decoding = self._decoding(decoder, segmentation, characters)
        for step in self._steps(audio, sample_rate_hz, decoding):
            yield from step.segments

    def steps(
        self,
        audio: AudioSource,
        *,
        sample_rate_hz: int | None = None,
        decoder: Decoder | None = None,
        segmentation: Segmentation = SEGMENTATION,
        characters: bool = False,
        done: Place = START,
    ) -> Iterator[Step]:
        """Yield ``transcribe`` step by step, to show progress, to keep what is done, and to resume.

        Each step has the segments that follow the previous step's, the place to resume from, and the samples
        read so far. ``join`` makes a transcript of all steps.
        done: where to resume: the place of an interrupted run's last step, of the same recording, model and
            options. What lies before it is read but not run; the steps after it are the same, bit by bit.
        """
        decoding = self._decoding(decoder, segmentation, characters)
        return self._steps(audio, sample_rate_hz, decoding, done)

    def _decoding(self, decoder: Decoder | None, segmentation: Segmentation, characters: bool) -> Decoding:
        decoder = decoder or self.decoders.default()
        return Decoding(decoder=decoder, segmentation=segmentation, characters=characters)

    def _steps(
        self, audio: AudioSource, sample_rate_hz: int | None, decoding: Decoding, done: Place = START
    ) -> Iterator[Step]:
        recording = open_recording(self.network, audio, sample_rate_hz, decoding.segmentation)
        yield from self._run(recording, decoding, done)

    def _run(
        self, recording: Samples | Iterator[Samples], decoding: Decoding, done: Place = START
    ) -> Iterator[Step]:
        return run_steps(
            recording, network=self.network, vocabulary=self.vocabulary, decoding=decoding, done=done
        )

    def join(self, steps: Iterable[Step]) -> Transcript:
        """Return the transcript of a recording from its steps, or of its beginning from the first of them."""
        segments: list[Segment] = []
        num_samples = 0
        for step in steps:
            segments += step.segments
            num_samples = step.num_samples
        return self._transcript(segments, num_samples)

    @overload
    def transcribe_batch(
        self,
        audios: Sequence[AudioSource],
        *,
        sample_rate_hz: int | None = None,
        decoder: Decoder | None = None,
        segmentation: Segmentation = SEGMENTATION,
        characters: bool = False,
        errors: Literal["raise"] = "raise",
    ) -> list[Transcript]: ...

    @overload
    def transcribe_batch(
        self,
        audios: Sequence[AudioSource],
        *,
        sample_rate_hz: int | None = None,
        decoder: Decoder | None = None,
        segmentation: Segmentation = SEGMENTATION,
        characters: bool = False,
        errors: Literal["return"],
    ) -> list[Transcript | SewdError | OSError]: ...

    def transcribe_batch(
        self,
        audios: Sequence[AudioSource],
        *,
        sample_rate_hz: int | None = None,
        decoder: Decoder | None = None,
        segmentation: Segmentation = SEGMENTATION,
        characters: bool = False,
        errors: Literal["raise", "return"] = "raise",
    ) -> Sequence[Transcript | SewdError | OSError]:
        """Transcribe several recordings; the results are in their order and the same as one by one.

        They are read ahead, run in batches and decoded by the model's ``workers``; one that is too long to
        run whole runs when it is reached.
        errors: "return" puts the error of a recording that cannot be read or run in its place.
        """
        decoding = self._decoding(decoder, segmentation, characters)
        answers = run_recordings(
            as_batch(audios),
            read=lambda audio: open_recording(self.network, audio, sample_rate_hz, segmentation),
            run=lambda recordings: transcribe_opened(self, recordings, decoding),
            workers=self.network.workers,
            caught=(SewdError, OSError),
        )
        results: list[Any] = []
        with closing(answers):
            for _, result in answers:
                if errors != "return" and isinstance(result, Exception):
                    raise result
                results.append(result)
        return results

    def align(
        self,
        audio: AudioSource,
        text: str,
        *,
        sample_rate_hz: int | None = None,
        segmentation: Segmentation = SEGMENTATION,
        characters: bool = False,
        lenient: bool = False,
    ) -> Transcript:
        """Return when each word of a known text is spoken; the text must be all that is said.

        lenient: letters and digits that the model cannot write are wildcards, which match anything, and so is
            the word "*", for speech that the text leaves open. Their words have the confidence 0.
        The other arguments and errors are those of ``transcribe``. Memory grows with the text, with the
        square root of the audio's length, and with its log-probabilities. The text is spelled as
        ``Speller`` says. Warns (TextWarning) of punctuation and accents that the model lacks; raises
        TextError for a letter or digit that it cannot write, AlignmentError for a text too long for the
        audio.
        """
        recording = open_recording(self.network, audio, sample_rate_hz, segmentation)
        return align_recording(
            recording,
            text,
            network=self.network,
            vocabulary=self.vocabulary,
            segmentation=segmentation,
            characters=characters,
            lenient=lenient,
        )

    def transcripts(
        self,
        logits: Sequence[Output],
        recordings: Sequence[Samples],
        *,
        decoder: Decoder | None = None,
        characters: bool = False,
    ) -> list[Transcript]:
        """Decode recordings that ran whole: a batch may run once and be decoded with different options.

        logits: as the method ``logits`` returned them, of recordings each (samples,) float32 at the model's
        rate. Raises DecodingError.
        """
        decoding = self._decoding(decoder, SEGMENTATION, characters)
        stretches = [
            Stretch(log_probs=log_softmax(frames), samples=samples, first=START)
            for frames, samples in zip(logits, recordings, strict=True)
        ]
        segments = decode_stretches(stretches, self.manifest, self.vocabulary, decoding)
        return [
            self._transcript(each, len(samples)) for each, samples in zip(segments, recordings, strict=True)
        ]

    def _transcript(self, segments: Sequence[Segment], num_samples: int) -> Transcript:
        texts = [segment.text for segment in segments]
        return Transcript(
            text="".join(texts) if self.vocabulary.word_delimiter_id is None else join_texts(texts),
            segments=tuple(segments),
            duration_s=num_samples / self.manifest.sample_rate_hz,
        )

    def stream(
        self,
        *,
        sample_rate_hz: int | None = None,
        decoder: Decoder | None = None,
        streaming: Streaming = _STREAMING,
    ) -> Stream:
        """Open a stream: speech to text while it is spoken, of any length.

        sample_rate_hz: the rate of the blocks that will be fed, the model's if None. Many streams can share
        this model: ``feed_streams`` runs their windows as batches. Raises AudioValueError.
        """
        return Stream(
            self.network,
            self.vocabulary,
            decoder=decoder or self.decoders.default(),
            streaming=streaming,
            sample_rate_hz=sample_rate_hz,
        )

    def logits(self, recordings: Sequence[Samples]) -> list[Output]:
        """Return the logits of each recording, ``(frames, vocab)`` float32; no frames if it is too short.

        recordings: each (samples,) float32 at the model's rate.
        """
        return self.network.run_frames(recordings)


def read_vocabulary(bundle: Bundle) -> Vocabulary:
    """Read the vocabulary of a bundle whose task is ctc. Raises VocabularyError."""
    manifest = bundle.manifest
    assert manifest.ctc is not None  # the manifest was checked
    tokens: dict[str, int] = read_json(bundle, VOCAB_NAME, dict[str, int])
    return Vocabulary.from_manifest(tokens, manifest.ctc, manifest.num_outputs)


def transcribe_opened(
    recognizer: Recognizer, recordings: Sequence[Samples | Iterator[Samples]], decoding: Decoding
) -> list[Transcript]:
    """Transcribe what ``open_recording`` returned: whole recordings in batches, or longer ones one by one."""
    batch = [samples for samples in recordings if isinstance(samples, np.ndarray)]
    if len(batch) == len(recordings):
        logits = recognizer.logits(batch)
        return recognizer.transcripts(logits, batch, decoder=decoding.decoder, characters=decoding.characters)
    steps = [
        run_steps(each, network=recognizer.network, vocabulary=recognizer.vocabulary, decoding=decoding)
        for each in recordings
    ]
    return list(map(recognizer.join, steps))
