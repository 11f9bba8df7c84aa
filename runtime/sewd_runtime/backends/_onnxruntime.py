"""Models in onnxruntime."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sewd_runtime.backends import Options, Tensor
from sewd_runtime.backends._installed import find_version
from sewd_runtime.errors import ProviderError

NAME = "onnxruntime"

_DTYPES = {"tensor(float)": "float32", "tensor(int64)": "int64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrtModel:
    """A session of onnxruntime."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    _session: Any

    def run(self, names: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """Run one batch; several runs at once share the session's threads."""
        outputs: Sequence[NDArray[Any]] = self._session.run(list(names), dict(feed))
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
    # Threads that wait by spinning burn a core between runs, and gain nothing: with another program on the
    # machine they make a run a third slower.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _tensor(node: Any) -> Tensor:
    shape = tuple(axis if isinstance(axis, int) else None for axis in node.shape)
    return Tensor(name=node.name, dtype=_DTYPES.get(node.type, node.type), shape=shape)
