"""One model in an inference library: a padded batch in, its output and its lengths out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Lengths, Output, Samples
from sewd_runtime.bundle.engines import Profile
from sewd_runtime.errors import InferenceError, ModelError, ProviderError, SewdError
from sewd_runtime.inference.backends import Model, Options, Tensor
from sewd_runtime.inference.providers import find_provider

_INPUTS = {"input_values": ("float32", 2), "input_lengths": ("int64", 1)}
_OUTPUTS = {
    "ctc": {"logits": ("float32", 3), "output_lengths": ("int64", 1)},
    "classification": {"class_logits": ("float32", 2), "output_lengths": ("int64", 1)},
    "encoding": {"hidden_states": ("float32", 3), "output_lengths": ("int64", 1)},
}

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A loaded model; ``run`` may be called from several threads at once.

    library: the name and the version of what runs it.
    """

    provider: str
    library: str
    output_names: tuple[str, ...]
    _model: Model

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        task: str,
        provider: str = "cpu",
        compute: str = "f32",
        weights: str = "f32",
        threads: int | None = None,
        precision: str = "fp32",
        profiles: tuple[Profile, ...] = (),
        allow_fallback: bool = False,
        provider_options: Mapping[str, str] = _NONE,
    ) -> "Session":
        """Load a model file.

        compute, weights, precision, profiles: as in ``Options``; threads: for one run, None leaves it to the
        library: one for each core. allow_fallback: the device may leave any part to the processor.
        provider_options: the library's own, over those of the provider's row.
        Raises ProviderError (unknown, absent, not used), PrecisionError (not computed here), ModelError (not
        loadable, other interface).
        """
        if threads is not None and threads < 1:
            raise ProviderError(f"threads must be at least 1, got {threads}")
        row = find_provider(provider)
        library = f"{row.backend.NAME} {row.backend.installed_version()}"
        options = Options(
            device=row.device,
            settings={**row.settings, **provider_options},
            compute=compute,
            weights=weights,
            threads=threads,
            cpu_share=1.0 if allow_fallback else row.cpu_share,
            precision=precision,
            profiles=profiles,
        )
        try:
            model = row.backend.open_model(path, options)
        except ProviderError as error:
            needs = f"; provider {provider!r} needs {row.needs}" if row.needs else ""
            raise ProviderError(f"{error}{needs}") from error
        except SewdError:
            raise
        except Exception as error:  # the libraries' own errors share no base but this
            raise ModelError(f"{path}: {library} refuses it: {error}") from error
        _check_interface(path, "inputs", model.inputs, _INPUTS)
        _check_interface(path, "outputs", model.outputs, _OUTPUTS[task])
        return cls(provider=provider, library=library, output_names=tuple(_OUTPUTS[task]), _model=model)

    @property
    def num_outputs(self) -> int | None:
        """The last axis of the output, where the graph states it."""
        [axis] = [tensor.shape[-1] for tensor in self._model.outputs if tensor.name == self.output_names[0]]
        return axis

    def run(self, input_values: NDArray[np.float32], input_lengths: Lengths) -> tuple[Output, Lengths]:
        """Run one batch.

        input_values: (batch, samples) float32, zero-padded; input_lengths: (batch,) int64 samples.
        Returns the output, (batch, frames, vocab), (batch, classes) or (batch, frames, hidden) float32, and
        the frames of each item, (batch,) int64. Raises InferenceError.
        """
        feed: dict[str, NDArray[Any]] = {"input_values": input_values, "input_lengths": input_lengths}
        try:
            output, output_lengths = self._model.run(self.output_names, feed)
        except Exception as error:  # as above
            shape = "x".join(map(str, input_values.shape))
            raise InferenceError(f"{self.library} failed on a batch of {shape} samples: {error}") from error
        return output, output_lengths


def pad(recordings: Sequence[Samples]) -> tuple[NDArray[np.float32], Lengths]:
    """Put recordings, each (samples,), into one zero-padded (batch, samples); also return their lengths."""
    lengths = np.array([len(samples) for samples in recordings], dtype=np.int64)
    values = np.zeros((len(recordings), int(lengths.max(initial=0))), dtype=np.float32)
    for row, samples in zip(values, recordings, strict=True):
        row[: len(samples)] = samples
    return values, lengths


def _check_interface(
    path: Path, side: str, found: Sequence[Tensor], wanted: Mapping[str, tuple[str, int]]
) -> None:
    have = {tensor.name: (tensor.dtype, len(tensor.shape)) for tensor in found}
    if have != wanted:
        raise ModelError(f"{path}: its {side} are {have}, a bundle's are {wanted}; export it again")
