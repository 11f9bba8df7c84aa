"""Speech to one label."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sewd_runtime._types import AudioSource, Output, Samples
from sewd_runtime.bundle.manifest import LABELS_NAME
from sewd_runtime.decode import log_softmax
from sewd_runtime.errors import AudioTooShortError, VocabularyError
from sewd_runtime.inference.network import Network
from sewd_runtime.model import Model, read_json
from sewd_runtime.text.transcript import Classification


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier(Model):
    """A model that gives one label to a whole recording."""

    task: ClassVar[str] = "classification"
    network: Network
    labels: tuple[str, ...]

    @classmethod
    def from_network(cls, network: Network) -> "Classifier":
        """Add the labels that the bundle names. Raises VocabularyError."""
        bundle = network.bundle
        labels: tuple[str, ...] = read_json(bundle, LABELS_NAME, tuple[str, ...])
        if len(labels) != bundle.manifest.num_outputs:
            raise VocabularyError(
                f"{bundle.path / LABELS_NAME}: {len(labels)} labels for {bundle.manifest.num_outputs} classes"
            )
        return cls(network=network, labels=labels)

    def classify(self, audio: AudioSource, *, sample_rate_hz: int | None = None) -> Classification:
        """Classify one recording, of any source that ``read_audio`` takes.

        sample_rate_hz: the rate of an array, the model's if None. Raises AudioError (AudioTooShortError among
        them), InferenceError, and OSError for a path that cannot be opened.
        """
        return self.classify_batch([audio], sample_rate_hz=sample_rate_hz)[0]

    def classify_batch(
        self, audios: Sequence[AudioSource], *, sample_rate_hz: int | None = None
    ) -> list[Classification]:
        """Classify several recordings, the results in their order and the same as one by one."""
        recordings = [self.network.read(audio, sample_rate_hz) for audio in audios]
        return list(map(self.classification, self.logits(recordings)))

    def classification(self, logits: Output) -> Classification:
        """Return the labels of one recording, the most probable first; logits: (classes,) float32."""
        probabilities = np.exp(log_softmax(logits))
        order = np.argsort(-probabilities, kind="stable")
        return Classification(
            labels=tuple(self.labels[index] for index in order),
            probabilities=tuple(float(probabilities[index]) for index in order),
        )

    def logits(self, recordings: Sequence[Samples]) -> list[Output]:
        """Return the logits of each recording, ``(classes,)`` float32; raises AudioTooShortError.

        recordings: each (samples,) float32 at the model's rate.
        """
        for place, samples in enumerate(recordings):
            if self.network.is_too_short(samples):
                item = f"item {place}: " if len(recordings) > 1 else ""
                needed = self.manifest.min_samples
                raise AudioTooShortError(f"{item}{len(samples)} samples are too few, it takes {needed}")
        results: list[Output] = [np.zeros(0, np.float32) for _ in recordings]
        for indices, output, _ in self.network.run_batches(recordings):
            for index, item in zip(indices, output, strict=True):
                results[index] = item.copy()
        return results
