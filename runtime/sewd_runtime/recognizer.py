"""The three kinds of model that a bundle can hold, and ``load``, which picks one by the bundle's task."""

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sewd_runtime._schema import build, parse_json
from sewd_runtime._types import AudioSource, Output, Samples
from sewd_runtime.auto import AUTO, open_fastest
from sewd_runtime.bundle import LABELS_NAME, VOCAB_NAME, Bundle, Manifest, find_bundle, open_bundle
from sewd_runtime.decode import DECODERS, Hypothesis, log_softmax
from sewd_runtime.engine import Engine
from sewd_runtime.errors import AudioTooShortError, BundleError, PrecisionWarning, VocabularyError
from sewd_runtime.frames import FrameClock
from sewd_runtime.providers import PROVIDERS
from sewd_runtime.segmentation import SEGMENTATION, Segmentation, find_regions
from sewd_runtime.transcript import Classification, Segment, Transcript
from sewd_runtime.vocabulary import Vocabulary


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
        segmentation: Segmentation = SEGMENTATION,
    ) -> Transcript:
        """Transcribe one recording, a path, bytes, binary file or array as in ``read_audio``.

        sample_rate_hz: the rate of an array, the model's if None. segmentation: of a recording too long to
        run whole; a path is read in blocks, so any length takes the same memory. Audio too short for one
        frame gives an empty transcript. Raises AudioError, InferenceError, and OSError for a path that cannot
        be opened.
        """
        return self.transcribe_batch([audio], sample_rate_hz=sample_rate_hz, segmentation=segmentation)[0]

    def transcribe_batch(
        self,
        audios: Sequence[AudioSource],
        *,
        sample_rate_hz: int | None = None,
        segmentation: Segmentation = SEGMENTATION,
    ) -> list[Transcript]:
        """Transcribe several recordings, the results in their order and the same as one by one."""
        longest = round(segmentation.whole_s * self.manifest.sample_rate_hz)
        sources = [self.engine.hold(audio, sample_rate_hz) for audio in audios]
        found = [self.engine.peek(*source, longest=longest) for source in sources]
        whole = iter(self._transcribe_whole([samples for samples in found if samples is not None]))
        return [
            self._transcribe_long(*source, segmentation) if samples is None else next(whole)
            for source, samples in zip(sources, found, strict=True)
        ]

    def _transcribe_whole(self, recordings: Sequence[Samples]) -> list[Transcript]:
        manifest, vocabulary = self.manifest, self.vocabulary
        hypotheses = [Hypothesis() for _ in recordings]
        for indices, logits, lengths in self.engine.run_batches(recordings):
            decoded = DECODERS["greedy"](
                log_softmax(logits), lengths, vocabulary.blank_id, canonical_ids=vocabulary.canonical_ids
            )
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
        self, audio: AudioSource, sample_rate_hz: int | None, segmentation: Segmentation
    ) -> Transcript:
        rate_hz, num_samples = self.manifest.sample_rate_hz, 0

        def counted() -> Iterator[Samples]:
            nonlocal num_samples
            for block in self.engine.stream(audio, sample_rate_hz):
                num_samples += len(block)
                yield block

        segments: list[Segment] = []
        for region in find_regions(counted(), segmentation, sample_rate_hz=rate_hz):
            [transcript] = self._transcribe_whole([region.samples])
            segments += [segment.later(region.begin / rate_hz) for segment in transcript.segments]
        return Transcript(
            text=(" " if self.vocabulary.word_delimiter_id is not None else "").join(
                segment.text for segment in segments
            ),
            segments=tuple(segments),
            duration_s=num_samples / rate_hz,
        )

    def logits(self, recordings: Sequence[Samples]) -> list[Output]:
        """Return the logits of each recording, ``(frames, vocab)`` float32; no frames where it is too short.

        recordings: each (samples,) float32 at the model's rate.
        """
        return self.engine.run_frames(recordings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """A model that gives one label to a whole recording."""

    engine: Engine
    labels: tuple[str, ...]

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self.engine.manifest

    def classify(self, audio: AudioSource, *, sample_rate_hz: int | None = None) -> Classification:
        """Classify one recording, a path, bytes, binary file or array as in ``read_audio``.

        sample_rate_hz: the rate of an array, the model's if None. Raises AudioError (AudioTooShortError among
        them), InferenceError, and OSError for a path that cannot be opened.
        """
        return self.classify_batch([audio], sample_rate_hz=sample_rate_hz)[0]

    def classify_batch(
        self, audios: Sequence[AudioSource], *, sample_rate_hz: int | None = None
    ) -> list[Classification]:
        """Classify several recordings, the results in their order and the same as one by one."""
        results = []
        for logits in self.logits([self.engine.read(audio, sample_rate_hz) for audio in audios]):
            probabilities = np.exp(log_softmax(logits))
            order = np.argsort(-probabilities, kind="stable")
            results.append(
                Classification(
                    labels=tuple(self.labels[index] for index in order),
                    probabilities=tuple(float(probabilities[index]) for index in order),
                )
            )
        return results

    def logits(self, recordings: Sequence[Samples]) -> list[Output]:
        """Return the logits of each recording, ``(classes,)`` float32; raises AudioTooShortError.

        recordings: each (samples,) float32 at the model's rate.
        """
        for place, samples in enumerate(recordings):
            if self.engine.is_too_short(samples):
                item = f"item {place}: " if len(recordings) > 1 else ""
                needed = self.manifest.min_samples
                raise AudioTooShortError(f"{item}{len(samples)} samples are too few, it takes {needed}")
        results: list[Output] = [np.zeros(0, np.float32) for _ in recordings]
        for indices, output, _ in self.engine.run_batches(recordings):
            for index, item in zip(indices, output, strict=True):
                results[index] = item.copy()
        return results


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """A model without a head: speech to hidden states."""

    engine: Engine

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self.engine.manifest

    def encode(self, audio: AudioSource, *, sample_rate_hz: int | None = None) -> Output:
        """Encode one recording, a path, bytes, binary file or array as in ``read_audio``.

        Returns ``(frames, hidden)`` float32, no frames where the audio is too short.
        Raises AudioError, InferenceError, and OSError for a path that cannot be opened.
        """
        return self.encode_batch([audio], sample_rate_hz=sample_rate_hz)[0]

    def encode_batch(
        self, audios: Sequence[AudioSource], *, sample_rate_hz: int | None = None
    ) -> list[Output]:
        """Encode several recordings, the results in their order and the same as one by one."""
        return self.hidden_states([self.engine.read(audio, sample_rate_hz) for audio in audios])

    def hidden_states(self, recordings: Sequence[Samples]) -> list[Output]:
        """Return the hidden states of each recording, ``(frames, hidden)`` float32.

        recordings: each (samples,) float32 at the model's rate.
        """
        return self.engine.run_frames(recordings)


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    precision: str | None = None,
    provider: str = "cpu",
    threads: int | None = None,
) -> Recognizer | Classifier | Encoder:
    """Load a bundle as what its task says: a Recognizer, a Classifier or an Encoder.

    path: the folder, or the name of an embedded model; None is the embedded digits model.
    precision: None takes fp32 where the bundle has it.
    provider: a row of PROVIDERS.
    threads: for one run; None leaves it to the provider's library.
    Where provider or precision is "auto", the fastest that this leaves open is measured, once on a machine,
    and logged at level INFO of the logger "sewd".
    Raises BundleError, PrecisionError, ProviderError, VocabularyError. Warns with PrecisionWarning where the
    provider has a remark on the precision.
    """
    choose = open_fastest if AUTO in (provider, precision) else Engine.open
    bundle = open_bundle(find_bundle(path))
    engine = choose(bundle, precision=precision, provider=provider, threads=threads)
    remark = PROVIDERS[engine.session.provider].remarks.get(engine.precision)
    if remark is not None:
        message = f"{engine.precision} on {engine.session.provider}: {remark}"
        warnings.warn(message, PrecisionWarning, stacklevel=2)
    return _wrap(engine)


def _wrap(engine: Engine) -> Recognizer | Classifier | Encoder:
    if engine.manifest.task == "ctc":
        return Recognizer(engine=engine, vocabulary=_read_vocabulary(engine.bundle))
    if engine.manifest.task == "classification":
        return Classifier(engine=engine, labels=_read_labels(engine.bundle))
    return Encoder(engine=engine)


def _read_vocabulary(bundle: Bundle) -> Vocabulary:
    manifest = bundle.manifest
    assert manifest.ctc is not None  # the manifest was checked
    tokens: dict[str, int] = _read_json(bundle, VOCAB_NAME, dict[str, int])
    return Vocabulary.from_manifest(tokens, manifest.ctc, manifest.num_outputs)


def _read_labels(bundle: Bundle) -> tuple[str, ...]:
    labels: tuple[str, ...] = _read_json(bundle, LABELS_NAME, tuple[str, ...])
    if len(labels) != bundle.manifest.num_outputs:
        raise VocabularyError(
            f"{bundle.path / LABELS_NAME}: {len(labels)} labels for {bundle.manifest.num_outputs} classes"
        )
    return labels


def _read_json(bundle: Bundle, name: str, kind: Any) -> Any:
    text, where = bundle.read_text(name), str(bundle.path / name)
    try:
        return build(kind, parse_json(text, where=where), where=where)
    except BundleError as error:
        raise VocabularyError(str(error)) from error
