"""Models in onnxruntime."""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sewd_runtime.errors import ProviderError
from sewd_runtime.inference.backends import CompiledModel, Options, Tensor
from sewd_runtime.inference.backends.onnxruntime.cuda_graphs import SETTING, GraphModel
from sewd_runtime.inference.backends.onnxruntime.placement import check_placement, missing_library
from sewd_runtime.inference.backends.onnxruntime.plugins import choose_plugin_device, register_plugins
from sewd_runtime.system.interrupted_runs import stoppable
from sewd_runtime.system.machine import has_vnni
from sewd_runtime.system.packages import ONNXRUNTIME, find_version

NAME = "onnxruntime"

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"

_LARGE_BYTES = 4 * 512_000
"""A batch of 32 s at 16 kHz, after which memory is freed.

Freeing after smaller ones fragments the arena when two callers share it: with a limit of 25 s, 1,400
recordings of up to 30 s took it from 225 to 270 MB; with this one it stayed at 227.
"""
_DTYPES = {"tensor(float)": "float32", "tensor(int64)": "int64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrtModel:
    """An onnxruntime session."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    session: Any

    def run(self, names: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """Run one batch; concurrent runs share the session's threads."""
        import onnxruntime

        options = run_options(onnxruntime, feed) or onnxruntime.RunOptions()
        with stoppable(options):
            outputs: Sequence[NDArray[Any]] = self.session.run(list(names), dict(feed), options)
        return outputs


def installed_version() -> str | None:
    """Return the version of the package that brings onnxruntime."""
    return find_version("onnxruntime", packages=ONNXRUNTIME)


def devices() -> Sequence[str]:
    """Return the execution providers of this build."""
    import onnxruntime

    register_plugins(onnxruntime)
    names: list[str] = onnxruntime.get_available_providers()
    return names


def open_model(path: Path, options: Options) -> CompiledModel:
    """Load a model file; raises ProviderError if the device does not start or leaves too much to the CPU."""
    import onnxruntime

    _preload(onnxruntime, options.device)
    session_options, settings = _session_options(onnxruntime, options), dict(options.settings)
    plugin = choose_plugin_device(onnxruntime, options.device)
    try:
        if plugin is not None:
            session_options.add_provider_for_devices([plugin], settings)
        session = onnxruntime.InferenceSession(
            path,
            sess_options=session_options,
            providers=None if plugin is not None else [(options.device, settings)],
            enable_fallback=0,  # it would print a message and run everything on the CPU
        )
    except Exception as error:
        if options.device == _CPU:
            raise
        reason = " ".join(str(error).split())
        raise ProviderError(f"onnxruntime cannot start {options.device}: {reason}") from error
    session.disable_fallback()  # the same, for failures while it runs
    check_device(options.device, session.get_providers())
    if options.device != _CPU:
        check_placement(session, options)
    inputs = tuple(_tensor(argument) for argument in session.get_inputs())
    outputs = tuple(_tensor(argument) for argument in session.get_outputs())
    if options.device == _CUDA and settings.get(SETTING) == "1":
        device = ("cuda", int(settings.get("device_id", "0")))
        return GraphModel(
            inputs=inputs, outputs=outputs, profiles=options.profiles, session=session, device=device
        )
    return OrtModel(inputs=inputs, outputs=outputs, session=session)


def check_device(wanted: str, active: Sequence[str]) -> None:
    """Raise ProviderError unless a session runs on the execution provider that was asked for."""
    if not active or active[0] != wanted:
        reason = missing_library(wanted)
        raise ProviderError(
            f"onnxruntime left {wanted} for {', '.join(active) or 'nothing'}{reason and f': {reason}'}"
        )


def _preload(onnxruntime: Any, device: str) -> None:
    """Load the CUDA libraries that pip installed, which the dynamic linker does not find."""
    if device != _CPU and hasattr(onnxruntime, "preload_dlls") and onnxruntime.cuda_version:
        # It prints what is missing, which the error of a device that does not start names too.
        with redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()


def _session_options(onnxruntime: Any, options: Options) -> Any:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # errors are raised; logged as well, users would read them twice
    settings.intra_op_num_threads = options.threads or 0
    settings.inter_op_num_threads = 1
    settings.enable_mem_pattern = False  # it would keep one pattern for each length
    for key, value in session_entries().items():
        settings.add_session_config_entry(key, value)
    if options.device != _CPU:
        settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return settings


def session_entries() -> dict[str, str]:
    """Return onnxruntime's configuration entries that suit this machine."""
    # Threads spin while a run lasts and sleep between runs.
    entries = {"session.force_spinning_stop": "1"}
    if not has_vnni():  # int8 kernels that cannot saturate, half as fast; with VNNI none does
        entries["session.x64quantprecision"] = "1"
    return entries


def run_options(onnxruntime: Any, feed: Mapping[str, NDArray[Any]]) -> Any:
    """Return options that free memory after a large batch, None for the default ones.

    The arena keeps its largest size: after one recording of two minutes 930 MB, with these options 170 MB.
    """
    if sum(values.nbytes for values in feed.values()) < _LARGE_BYTES:
        return None
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _tensor(argument: Any) -> Tensor:
    shape = tuple(axis if isinstance(axis, int) else None for axis in argument.shape)
    return Tensor(name=argument.name, dtype=_DTYPES.get(argument.type, argument.type), shape=shape)
