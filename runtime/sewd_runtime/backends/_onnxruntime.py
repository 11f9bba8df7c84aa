"""Models in onnxruntime."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sewd_runtime.backends import Options, Tensor
from sewd_runtime.backends._installed import find_version
from sewd_runtime.errors import ProviderError
from sewd_runtime.machine import has_vnni

NAME = "onnxruntime"

_LARGE_BYTES = 4 * 400_000  # of samples: 25 s at 16 kHz, more than any batch of several recordings
_DTYPES = {"tensor(float)": "float32", "tensor(int64)": "int64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrtModel:
    """A session of onnxruntime."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    _session: Any

    def run(self, names: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """Run one batch; several runs at once share the session's threads."""
        import onnxruntime

        options = _run_options(onnxruntime, feed)
        outputs: Sequence[NDArray[Any]] = self._session.run(list(names), dict(feed), options)
        return outputs


def installed_version() -> str | None:
    """Return the version of whichever of its packages is installed."""
    return find_version("onnxruntime", packages=("onnxruntime", "onnxruntime-gpu"))


def devices() -> Sequence[str]:
    """Return the execution providers of this build."""
    import onnxruntime

    names: list[str] = onnxruntime.get_available_providers()
    return names


def open_model(path: Path, options: Options) -> OrtModel:
    """Load a model file; raises ProviderError when onnxruntime leaves the device for another."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        path,
        sess_options=_session_options(onnxruntime, options.threads),
        providers=[(options.device, dict(options.settings))],
    )
    check_device(options.device, session.get_providers())
    return OrtModel(
        inputs=tuple(_tensor(node) for node in session.get_inputs()),
        outputs=tuple(_tensor(node) for node in session.get_outputs()),
        _session=session,
    )


def check_device(wanted: str, active: Sequence[str]) -> None:
    """Raise ProviderError unless a session really runs on the execution provider that was asked for."""
    if not active or active[0] != wanted:
        raise ProviderError(
            f"onnxruntime left {wanted} for {', '.join(active) or 'nothing'}; "
            f"choose that provider by name if it is wanted"
        )


def _session_options(onnxruntime: Any, threads: int | None) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # an error is raised, and a user would read it twice
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # a pattern is kept for each shape, and recordings have any length
    for key, value in session_entries().items():
        options.add_session_config_entry(key, value)
    return options


def session_entries() -> dict[str, str]:
    """Return onnxruntime's configuration entries that suit this machine."""
    # Threads wait for one another by spinning while a run lasts, and sleep between runs.
    entries = {"session.force_spinning_stop": "1"}
    if not has_vnni():  # 8-bit products that cannot saturate; with VNNI none does, and they are half as fast
        entries["session.x64quantprecision"] = "1"
    return entries


def _run_options(onnxruntime: Any, feed: Mapping[str, NDArray[Any]]) -> Any:
    """Return options that give memory back after a large batch, None for the usual ones.

    The arena keeps all it ever had: after one recording of two minutes 930 MB, with this 170 MB.
    """
    if sum(values.nbytes for values in feed.values()) < _LARGE_BYTES:
        return None
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _tensor(node: Any) -> Tensor:
    shape = tuple(axis if isinstance(axis, int) else None for axis in node.shape)
    return Tensor(name=node.name, dtype=_DTYPES.get(node.type, node.type), shape=shape)
