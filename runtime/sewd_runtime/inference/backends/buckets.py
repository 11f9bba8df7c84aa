"""Few shapes for many recordings: batches are padded to buckets, which changes no result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.bundle.engines import BatchShape, Profile
from sewd_runtime.inference.backends import CompiledModel, Tensor

Feed = Mapping[str, NDArray[Any]]

_UNIT_SAMPLES = 1_000
"""The smallest step between padded lengths, a sixteenth of a second at 16 kHz."""

_STEPS_PER_OCTAVE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A shape that batches are padded to, and the index of the profile that takes it."""

    profile: int
    shape: BatchShape


def padded_length(num_samples: int, *, shortest: int = 0) -> int:
    """Return the length that a batch of ``num_samples`` is padded to.

    From half a second on it is at most an eighth longer; 1, 2, 5, 10 and 30 s at 16 kHz stay as they are.
    """
    units = -(-max(num_samples, shortest) // _UNIT_SAMPLES)
    octave = 1 << max(0, units - 1).bit_length()  # the next power of two
    step = max(1, octave // 2 // _STEPS_PER_OCTAVE)
    return -(-units // step) * step * _UNIT_SAMPLES


def choose_bucket(batch: int, num_samples: int, profiles: Sequence[Profile]) -> Bucket:
    """Return the bucket of the first profile that takes recordings of this length.

    Batches are padded to powers of two and samples by ``padded_length``, both within the profile's limits; a
    larger batch gets the profile's largest. Raises ValueError if no profile is long enough.
    """
    for index, profile in enumerate(profiles):
        if num_samples <= profile.max.samples:
            samples = min(max(padded_length(num_samples), profile.min.samples), profile.max.samples)
            items = min(max(1 << (batch - 1).bit_length(), profile.min.batch), profile.max.batch)
            return Bucket(profile=index, shape=BatchShape(batch=items, samples=samples))
    longest = max(profile.max.samples for profile in profiles)
    raise ValueError(
        f"{num_samples} samples are more than the {longest} that the engine was built for; split the "
        f"recording, or export with a longer --profile"
    )


def run_in_buckets(
    run: Callable[[Bucket, Feed], Sequence[NDArray[Any]]], feed: Feed, profiles: Sequence[Profile]
) -> list[NDArray[Any]]:
    """Run a batch in parts that fit, each padded to its bucket; return the results without the padding.

    run: returns the output and the lengths, as arrays that share no memory with the library.
    """
    values, lengths = feed["input_values"], feed["input_lengths"]
    if lengths.shape != values.shape[:1]:
        raise ValueError(f"{values.shape} samples with {lengths.shape} lengths")
    parts: list[tuple[NDArray[Any], NDArray[Any]]] = []
    start = 0
    while start < len(values) or not parts:
        bucket = choose_bucket(len(values) - start, values.shape[1], profiles)
        stop = start + bucket.shape.batch
        parts.append(_run_part(run, bucket, values[start:stop], lengths[start:stop]))
        start = stop
    outputs, frames = zip(*parts, strict=True)
    num_frames = int(max(part.max() for part in frames))
    if outputs[0].ndim == 3:
        outputs = tuple(output[:, :num_frames] for output in outputs)
    return [np.concatenate(outputs), np.concatenate(frames)]


def _run_part(
    run: Callable[[Bucket, Feed], Sequence[NDArray[Any]]],
    bucket: Bucket,
    values: NDArray[Any],
    lengths: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any]]:
    missing = bucket.shape.batch - len(values)
    padding = ((0, missing), (0, bucket.shape.samples - values.shape[1]))
    # Added rows are silent recordings as long as the first one.
    padded = {
        "input_values": np.pad(values, padding),
        "input_lengths": np.append(lengths, np.repeat(lengths[:1], missing)),
    }
    output, frames = run(bucket, padded)
    return output[: len(values)], frames[: len(values)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketedModel:
    """A model that runs only in the shapes of its buckets."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    profiles: tuple[Profile, ...]
    _model: CompiledModel

    @classmethod
    def of(cls, model: CompiledModel, profiles: tuple[Profile, ...]) -> "BucketedModel":
        """Wrap a model that takes the shapes of the profiles."""
        return cls(inputs=tuple(model.inputs), outputs=tuple(model.outputs), profiles=profiles, _model=model)

    def run(self, names: Sequence[str], feed: Feed) -> Sequence[NDArray[Any]]:
        """Run one batch, in parts if it is larger than the profile takes."""
        return run_in_buckets(lambda _, padded: self._model.run(names, padded), feed, self.profiles)
