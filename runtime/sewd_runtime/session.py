"""One model in onnxruntime: a padded batch in, its output and its lengths out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Lengths, Output, Samples
from sewd_runtime.errors import InferenceError, ModelError, ProviderError
from sewd_runtime.providers import check_provider, find_provider

_INPUTS = {"input_values": ("tensor(float)", 2), "input_lengths": ("tensor(int64)", 1)}
_OUTPUTS = {
    "ctc": {"logits": ("tensor(float)", 3), "output_lengths": ("tensor(int64)", 1)},
    "classification": {"class_logits": ("tensor(float)", 2), "output_lengths": ("tensor(int64)", 1)},
    "encoding": {"hidden_states": ("tensor(float)", 3), "output_lengths": ("tensor(int64)", 1)},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A loaded model; ``run`` may be called from several threads at once."""

    provider: str
    output_names: tuple[str, ...]
    _ort: Any

    @classmethod
    def open(cls, path: Path, *, task: str, provider: str = "cpu", threads: int | None = None) -> "Session":
        """Load a model file.

        threads: for one run; None leaves it to onnxruntime, one for each core.
        Raises ProviderError (unknown, absent, not used), ModelError (not loadable, other interface).
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise ProviderError("onnxruntime is not installed: pip install 'sewd[cpu]'") from error
        row = find_provider(provider, onnxruntime.get_available_providers())
        options = _options(onnxruntime, threads)
        providers = [(row.ort_name, dict(row.options))]
        try:
            ort = onnxruntime.InferenceSession(path, sess_options=options, providers=providers)
        except Exception as error:  # onnxruntime's own errors share no base but this
            raise ModelError(f"{path}: onnxruntime {onnxruntime.__version__} refuses it: {error}") from error
        check_provider(provider, ort.get_providers())
        _check_interface(path, "inputs", ort.get_inputs(), _INPUTS)
        _check_interface(path, "outputs", ort.get_outputs(), _OUTPUTS[task])
        return cls(provider=provider, output_names=tuple(_OUTPUTS[task]), _ort=ort)

    @property
    def num_outputs(self) -> int | None:
        """The last axis of the output, where the graph states it."""
        [axis] = [node.shape[-1] for node in self._ort.get_outputs() if node.name == self.output_names[0]]
        return axis if isinstance(axis, int) else None

    def run(self, input_values: NDArray[np.float32], input_lengths: Lengths) -> tuple[Output, Lengths]:
        """Run one batch.

        input_values: (batch, samples) float32, zero-padded; input_lengths: (batch,) int64 samples.
        Returns the output, (batch, frames, vocab), (batch, classes) or (batch, frames, hidden) float32, and
        the frames of each item, (batch,) int64. Raises InferenceError.
        """
        feed = {"input_values": input_values, "input_lengths": input_lengths}
        try:
            output, output_lengths = self._ort.run(list(self.output_names), feed)
        except Exception as error:  # as above
            shape = "x".join(map(str, input_values.shape))
            raise InferenceError(f"onnxruntime failed on a batch of {shape} samples: {error}") from error
        return output, output_lengths


def pad(recordings: Sequence[Samples]) -> tuple[NDArray[np.float32], Lengths]:
    """Put recordings, each (samples,), into one zero-padded (batch, samples); also return their lengths."""
    lengths = np.array([len(samples) for samples in recordings], dtype=np.int64)
    values = np.zeros((len(recordings), int(lengths.max(initial=0))), dtype=np.float32)
    for row, samples in zip(values, recordings, strict=True):
        row[: len(samples)] = samples
    return values, lengths


def _options(onnxruntime: Any, threads: int | None) -> Any:
    if threads is not None and threads < 1:
        raise ProviderError(f"threads must be at least 1, got {threads}")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # an error is raised, and a user would read it twice
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # a pattern is kept for each shape, and recordings have any length
    # Threads that wait by spinning burn a core between runs, and gain nothing: with another program on the
    # machine they make a run a third slower.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _check_interface(path: Path, side: str, found: Sequence[Any], wanted: dict[str, tuple[str, int]]) -> None:
    have = {node.name: (node.type, len(node.shape)) for node in found}
    if have != wanted:
        raise ModelError(f"{path}: its {side} are {have}, a bundle's are {wanted}; export it again")
