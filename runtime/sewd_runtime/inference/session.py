"""One opened model file: runs a padded batch and returns the output and its lengths."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Lengths, Output, Samples
from sewd_runtime.bundle.manifest import TASKS
from sewd_runtime.errors import InferenceError, ModelError, ProviderError, SewdError
from sewd_runtime.inference.backends import Options, Tensor
from sewd_runtime.inference.forks import ForkableModel
from sewd_runtime.inference.providers import find_provider
from sewd_runtime.system.machine import available_cores, max_threads

_INPUTS = {"input_values": ("float32", 2), "input_lengths": ("int64", 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A loaded model; ``run`` may be called from several threads at once, and in forked processes.

    Only as many threads run at once as there are cores, so that memory does not grow with the callers.

    library: the inference library's name and version.
    """

    provider: str
    library: str
    output_names: tuple[str, ...]
    _model: ForkableModel

    @classmethod
    def open(
        cls, path: Path, *, task: str, provider: str = "cpu", options: Options | None = None
    ) -> "Session":
        """Load a model file.

        options: None takes the provider's defaults. Raises ProviderError (unknown, absent, or not used),
        PrecisionError (not available on this CPU) or ModelError (does not load, or is of another interface).
        """
        row = find_provider(provider)
        options = options or Options(device=row.device, settings=row.settings, cpu_share=row.cpu_share)
        options = replace(options, threads=_checked_threads(options.threads))
        library = f"{row.backend.NAME} {row.backend.installed_version()}"
        try:
            loaded = ForkableModel(
                path, lambda: row.backend.open_model(path, options), reopens=row.works_after_fork
            )
        except ProviderError as error:
            needs = f"; provider {provider!r} needs {row.needs}" if row.needs else ""
            raise ProviderError(f"{error}{needs}") from error
        except SewdError:
            raise
        except Exception as error:  # the libraries' errors share no other base
            raise ModelError(f"{path}: {library} refuses it: {error}") from error
        model = loaded.get()
        _check_interface(path, "inputs", model.inputs, _INPUTS)
        outputs = {TASKS[task].output: ("float32", TASKS[task].rank), "output_lengths": ("int64", 1)}
        _check_interface(path, "outputs", model.outputs, outputs)
        return cls(provider=provider, library=library, output_names=tuple(outputs), _model=loaded)

    @property
    def num_outputs(self) -> int | None:
        """The size of the output's last axis, None where the graph leaves it free."""
        [axis] = [
            tensor.shape[-1] for tensor in self._model.get().outputs if tensor.name == self.output_names[0]
        ]
        return axis

    def run(self, input_values: NDArray[np.float32], input_lengths: Lengths) -> tuple[Output, Lengths]:
        """Run one batch.

        input_values: (batch, samples) float32, zero-padded; input_lengths: (batch,) int64 samples.
        Returns the output, (batch, frames, vocab), (batch, classes) or (batch, frames, hidden) float32, and
        the number of frames of each item, (batch,) int64. Raises InferenceError.
        """
        feed: dict[str, NDArray[Any]] = {"input_values": input_values, "input_lengths": input_lengths}
        model = self._model.get()
        try:
            with self._model.slots:
                output, output_lengths = model.run(self.output_names, feed)
        except Exception as error:  # as in ``open``
            shape = "x".join(map(str, input_values.shape))
            raise InferenceError(f"{self.library} failed on a batch of {shape} samples: {error}") from error
        self._check_shapes(output, output_lengths, len(input_lengths))
        return output, output_lengths

    def _check_shapes(self, output: Output, lengths: Lengths, batch: int) -> None:
        """Raise InferenceError if a graph returned another batch, or more frames than there are."""
        task = next(task for task in TASKS.values() if task.output == self.output_names[0])
        fits = output.ndim == task.rank and len(output) == batch and lengths.shape == (batch,)
        if fits and task.has_frames:
            fits = not ((lengths < 0) | (lengths > output.shape[1])).any()
        if not fits:
            raise InferenceError(
                f"the model returned {self.output_names[0]} {output.shape} with lengths "
                f"{np.array2string(lengths, threshold=8)} for a batch of {batch}; export it again"
            )


def pad(recordings: Sequence[Samples]) -> tuple[NDArray[np.float32], Lengths]:
    """Zero-pad recordings, each (samples,), to one (batch, samples) array; also return their lengths."""
    lengths = np.array([len(samples) for samples in recordings], dtype=np.int64)
    values = np.zeros((len(recordings), int(lengths.max(initial=0))), dtype=np.float32)
    for row, samples in zip(values, recordings, strict=True):
        row[: len(samples)] = samples
    return values, lengths


def _checked_threads(threads: int | None) -> int | None:
    """Return the threads of a session; None leaves them to the library, where all cores may be used."""
    if threads is None:
        cores = available_cores()
        return cores if cores < (os.cpu_count() or 1) else None
    if threads < 1:
        raise ProviderError(f"threads must be at least 1, got {threads}")
    if threads > max_threads():
        raise ProviderError(
            f"threads must be at most {max_threads()}, 8 for each core of this machine, got {threads}"
        )
    return threads


def _check_interface(
    path: Path, side: str, tensors: Sequence[Tensor], expected: Mapping[str, tuple[str, int]]
) -> None:
    """Compare names, types and ranks."""
    actual = {tensor.name: (tensor.dtype, len(tensor.shape)) for tensor in tensors}
    if actual != expected:
        raise ModelError(f"{path}: its {side} are {actual}, a bundle's are {expected}; export it again")
