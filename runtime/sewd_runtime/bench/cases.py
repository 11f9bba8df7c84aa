"""What ``sewd bench`` runs: the clips and the timed cases."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sewd_runtime._types import Samples
from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.classifier import Classifier
from sewd_runtime.encoder import Encoder
from sewd_runtime.errors import AudioTooShortError
from sewd_runtime.inference.golden import read_golden
from sewd_runtime.inference.session import pad
from sewd_runtime.recognizer import Recognizer
from sewd_runtime.system.machine import available_cores

Model = Recognizer | Classifier | Encoder

BATCH_SECONDS = (5.0, 10.0)
"""Range of clip lengths in a batch."""

FIRST_SECONDS = 5.0
"""Length of the first clip of a fresh process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured.

    seconds: clip lengths for latency and memory. threads: thread counts; if empty, 1, 2, 4 ... and all cores;
    batches and fresh processes use the largest. batches: clips in a batch. rounds: timings of each case.
    """

    seconds: tuple[float, ...] = (1, 2, 5, 10, 30)
    threads: tuple[int, ...] = ()
    batches: tuple[int, ...] = (1, 2, 4, 8, 16)
    rounds: int = 10

    @property
    def thread_counts(self) -> tuple[int, ...]:
        """The thread counts, smallest first."""
        if self.threads:
            return tuple(sorted(set(self.threads)))
        cores = available_cores()
        return (*(1 << power for power in range(16) if 1 << power < cores), cores)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One timed case.

    kind: ``latency``, one clip from samples in memory to its result; ``one_run``, clips as one padded batch
    through the graph; ``planned``, the same clips through the model's batch method, which groups them itself.
    seconds: total audio.
    """

    kind: str
    threads: int
    clips: int
    seconds: float


class Speech:
    """The bundle's golden utterance repeated to any length: real speech, and nothing to download.

    Latency depends on the length, not on what is said.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._rate_hz = bundle.manifest.sample_rate_hz
        self._min_samples = bundle.manifest.min_samples
        self._golden, _ = read_golden(bundle)

    def clip(self, seconds: float, *, start: int = 0) -> Samples:
        """Return ``(samples,)`` float32 of this length, from the utterance's sample ``start`` on.

        Raises AudioTooShortError if the model needs a longer clip.
        """
        length = round(seconds * self._rate_hz)
        if length < self._min_samples:
            needed = self._min_samples / self._rate_hz
            raise AudioTooShortError(f"{seconds:g} s is too short a clip, this model needs {needed:g} s")
        return np.resize(np.roll(self._golden, -start), length)

    def batch(self, clips: int) -> list[Samples]:
        """Return clips of seeded random lengths; a larger batch begins with the clips of a smaller one."""
        rng = np.random.default_rng(0)
        draws = [(rng.uniform(*BATCH_SECONDS), rng.integers(len(self._golden))) for _ in range(clips)]
        return [self.clip(round(seconds, 1), start=int(start)) for seconds, start in draws]


def make_cases(
    plan: Plan, models: dict[int, Model], speech: Speech
) -> Iterator[tuple[Case, Callable[[], object]]]:
    """Yield every case of a plan with a function that runs it; models: thread count → model."""
    for threads, model in models.items():
        for seconds in plan.seconds:
            clip = speech.clip(seconds)
            yield (
                Case(kind="latency", threads=threads, clips=1, seconds=seconds),
                batch_method(model, [clip]),
            )
    threads = max(models)
    model = models[threads]
    for clips in plan.batches:
        batch = speech.batch(clips)
        seconds = sum(map(len, batch)) / model.manifest.sample_rate_hz
        for kind, work in (("one_run", _one_run(model, batch)), ("planned", batch_method(model, batch))):
            yield Case(kind=kind, threads=threads, clips=clips, seconds=seconds), work


def batch_method(model: Model, batch: Sequence[Samples]) -> Callable[[], object]:
    """Return a function that runs these clips, from samples in memory to their results."""
    if isinstance(model, Recognizer):
        return lambda: model.transcribe_batch(batch)
    if isinstance(model, Classifier):
        return lambda: model.classify_batch(batch)
    return lambda: model.encode_batch(batch)


def _one_run(model: Model, batch: Sequence[Samples]) -> Callable[[], object]:
    return lambda: model.network.session.run(*pad(batch))
