"""A loaded model of any task: a bundle, a session, and recordings run in batches."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import NoReturn

import numpy as np

from sewd_runtime._types import AudioSource, Lengths, Output, Samples
from sewd_runtime.audio.reading import read_audio, stream_audio
from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.bundle.manifest import TASKS, Manifest
from sewd_runtime.errors import AudioValueError, CopyError, FallbackWarning, InferenceError, ProviderError
from sewd_runtime.inference.batching import plan_batches
from sewd_runtime.inference.golden import require_golden
from sewd_runtime.inference.providers import FALLBACK
from sewd_runtime.inference.session import Session, pad
from sewd_runtime.inference.variants import default_precision, find_variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One precision of a bundle, loaded.

    workers: how many batches of a call run at once.
    """

    bundle: Bundle
    precision: str
    session: Session
    workers: int = 1

    @classmethod
    def open(
        cls,
        bundle: Bundle,
        *,
        precision: str | None = None,
        provider: str = "cpu",
        threads: int | None = None,
        allow_fallback: bool = False,
        provider_options: Mapping[str, str] | None = None,
    ) -> "Network":
        """Check the model's hash and load it.

        precision: None takes the provider's default. allow_fallback: if the provider cannot run the model,
        the CPU does, with a FallbackWarning. provider_options: the library's own, over those of the row.
        A variant that was not proven at export must reproduce the golden utterance here.
        Raises ProviderError, PrecisionError, BundleError.
        """
        chosen = precision or default_precision(bundle.manifest, provider)
        variant = find_variant(bundle.manifest, provider, chosen)
        try:
            session = variant.open(
                bundle, threads=threads, allow_fallback=allow_fallback, provider_options=provider_options
            )
        except ProviderError as error:
            if not allow_fallback or provider == FALLBACK:
                raise
            warnings.warn(f"{FALLBACK} in place of {provider}: {error}", FallbackWarning, stacklevel=4)
            return cls.open(bundle, precision=precision, provider=FALLBACK, threads=threads)
        if variant.parity is None:
            require_golden(bundle, variant, session)
        return cls(bundle=bundle, precision=chosen, session=session)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: a loaded model belongs to its process. Raises CopyError."""
        raise CopyError(
            f"{self.bundle.path}: a loaded model cannot be pickled or copied; threads can share it, "
            f"another process opens it with sewd_runtime.load({str(self.bundle.path)!r}, "
            f"precision={self.precision!r}, provider={self.session.provider!r})"
        )

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self.bundle.manifest

    def read(self, audio: AudioSource, sample_rate_hz: int | None) -> Samples:
        """Read audio at the model's rate; arrays without a rate are at that rate already."""
        rate_hz = self.manifest.sample_rate_hz
        return read_audio(audio, sample_rate_hz=sample_rate_hz, target_rate_hz=rate_hz)

    def stream(self, audio: AudioSource, sample_rate_hz: int | None) -> Iterator[Samples]:
        """Read audio as ``read`` does, block by block."""
        rate_hz = self.manifest.sample_rate_hz
        return stream_audio(audio, sample_rate_hz=sample_rate_hz, target_rate_hz=rate_hz)

    def read_or_stream(
        self, audio: AudioSource, sample_rate_hz: int | None, *, max_samples: int
    ) -> Samples | Iterator[Samples]:
        """Return all samples of a recording of up to ``max_samples``, and the blocks of a longer one."""
        blocks = self.stream(audio, sample_rate_hz)
        begin, num_samples = [], 0
        for block in blocks:
            begin.append(block)
            num_samples += len(block)
            if num_samples > max_samples:
                return chain(begin, blocks)
        return np.concatenate(begin)

    def is_too_short(self, samples: Samples) -> bool:
        """Return whether the recording is too short for the model."""
        return len(samples) < self.manifest.min_samples

    def run_batches(self, recordings: Sequence[Samples]) -> Iterator[tuple[list[int], Output, Lengths]]:
        """Run recordings in batches of similar length, leaving out those that are too short.

        recordings: each (samples,) float32 at the model's rate. Yields for each batch the indices of its
        recordings, the output ``(batch, ...)`` float32 and the lengths ``(batch,)`` int64 in frames.
        Raises InferenceError for a result that does not fit the manifest, or is not finite.
        """
        for samples in recordings:
            _check_samples(samples)
        places = [place for place, samples in enumerate(recordings) if not self.is_too_short(samples)]
        batches = plan_batches([len(recordings[place]) for place in places])

        def run(batch: Sequence[int]) -> tuple[list[int], Output, Lengths]:
            indices = [places[item] for item in batch]
            values, num_samples = pad([recordings[index] for index in indices])
            output, lengths = self.session.run(values, num_samples)
            self._check_result(output, lengths, num_samples)
            return indices, output, lengths

        if self.workers == 1 or len(batches) <= 1:
            yield from map(run, batches)
            return
        pool = ThreadPoolExecutor(self.workers)
        try:
            yield from pool.map(run, batches)
        finally:
            pool.shutdown(cancel_futures=True)

    def _check_result(self, output: Output, lengths: Lengths, num_samples: Lengths) -> None:
        """Raise InferenceError for a result that the manifest does not allow, NaN and infinity among them."""
        manifest, path = self.manifest, self.bundle.path
        expected = 1 + (num_samples - manifest.receptive_field) // manifest.stride
        if output.shape[-1] != manifest.num_outputs or not np.array_equal(lengths, expected):
            raise InferenceError(
                f"{path}: {self.precision} returned {output.shape[-1]} outputs and {lengths[:8].tolist()} "
                f"frames, the manifest says {manifest.num_outputs} and {expected[:8].tolist()}; "
                f"export it again"
            )
        # What lies beyond the frames of an item may be anything.
        ends = lengths if TASKS[manifest.task].has_frames else [None] * len(output)
        if not all(np.isfinite(item[:end]).all() for item, end in zip(output, ends, strict=True)):
            raise InferenceError(
                f"{path}: {self.precision} returned values that are not finite; choose another precision"
            )

    def run_frames(self, recordings: Sequence[Samples]) -> list[Output]:
        """Return each recording's output, ``(frames, num_outputs)``; no frames where it is too short."""
        outputs = dict(self.run_each(recordings))
        return [outputs[index] for index in range(len(recordings))]

    def run_each(self, recordings: Sequence[Samples]) -> Iterator[tuple[int, Output]]:
        """Yield the index and the output of each recording as soon as its batch has run."""
        for indices, output, lengths in self.run_batches(recordings):
            for index, item, length in zip(indices, output, lengths, strict=True):
                yield index, item[:length].copy()  # a view would keep the whole batch alive
        for index, samples in enumerate(recordings):
            if self.is_too_short(samples):
                yield index, np.zeros((0, self.manifest.num_outputs), np.float32)


def _check_samples(samples: Samples) -> None:
    if not isinstance(samples, np.ndarray) or samples.ndim != 1 or samples.dtype != np.float32:
        found = (
            f"{samples.dtype} {samples.shape}" if isinstance(samples, np.ndarray) else type(samples).__name__
        )
        raise AudioValueError(
            f"samples must be float32 arrays of shape (samples,), got {found}; use read_audio"
        )
