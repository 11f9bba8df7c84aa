"""Speech to one label."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sewd_runtime._types import AudioSource, Output, Samples
from sewd_runtime.bundle.folder import KEYWORDS
from sewd_runtime.bundle.manifest import LABELS_NAME
from sewd_runtime.decode import log_softmax
from sewd_runtime.errors import AudioTooShortError, AudioValueError, VocabularyError
from sewd_runtime.inference.network import Network
from sewd_runtime.model import Model, as_batch, read_json
from sewd_runtime.text.transcript import Classification, ClassifiedWindow

_BATCH = 32
"""Windows that run together at most."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Classifier(Model):
    """A model that gives one label to a whole recording."""

    task: ClassVar[str] = "classification"
    embedded: ClassVar[str] = KEYWORDS
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
        recordings = [self.network.read(audio, sample_rate_hz) for audio in as_batch(audios)]
        return list(map(self.classification, self.logits(recordings)))

    def classify_windows(
        self,
        audio: AudioSource,
        *,
        every_s: float,
        window_s: float = 1.0,
        sample_rate_hz: int | None = None,
    ) -> Iterator[ClassifiedWindow]:
        """Yield the labels of each window of a recording of any length, read as the windows are taken.

        A window of ``window_s`` begins every ``every_s``; the last one ends with the recording, and is the
        only one of a shorter recording. window_s: what the model was trained on, 1 s for the embedded one.
        Raises AudioValueError for lengths that make no windows, and what ``classify`` raises.
        """
        rate_hz = self.manifest.sample_rate_hz
        shortest_s = self.manifest.min_samples / rate_hz
        if not (
            math.isfinite(every_s) and every_s > 0 and math.isfinite(window_s) and window_s >= shortest_s
        ):
            raise AudioValueError(
                f"windows of {window_s} s every {every_s} s: every must be above 0, the model takes at least "
                f"{shortest_s} s"
            )
        length, step = round(window_s * rate_hz), max(1, round(every_s * rate_hz))
        for group in _cut_windows(self.network.stream(audio, sample_rate_hz), length, step):
            results = self.logits([samples for _, samples in group])
            for (start, samples), logits in zip(group, results, strict=True):
                found = self.classification(logits)
                yield ClassifiedWindow(
                    start_s=start / rate_hz,
                    end_s=(start + len(samples)) / rate_hz,
                    labels=found.labels,
                    probabilities=found.probabilities,
                )

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


def _cut_windows(blocks: Iterator[Samples], length: int, step: int) -> Iterator[list[tuple[int, Samples]]]:
    """Yield the windows that are complete with each block, at most ``_BATCH`` at once, and the last one.

    Each with the place of its first sample. The last window ends with the recording and may be shorter.
    """
    kept, place = np.zeros(0, np.float32), 0  # the last samples, and where they begin
    begin = end = 0  # of the next window, of the one before
    for block in blocks:
        kept = np.concatenate([kept, block])
        complete = []
        while begin + length <= place + len(kept):
            complete.append((begin, kept[begin - place :][:length]))
            begin, end = begin + step, begin + length
        for first in range(0, len(complete), _BATCH):
            yield complete[first : first + _BATCH]
        done = max(0, min(begin - place, len(kept) - length))
        kept, place = kept[done:], place + done
    total = place + len(kept)
    if end < total or total == 0:
        yield [(max(0, total - length), kept[-length:])]
