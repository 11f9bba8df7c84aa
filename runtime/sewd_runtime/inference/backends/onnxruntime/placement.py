"""Which nodes onnxruntime placed on a device, and why a device did not load."""

import ctypes
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from sewd_runtime.errors import FallbackWarning, ProviderError
from sewd_runtime.inference.backends import Options

_MATMULS = ("MatMul", "Gemm", "Conv", "Attention")
"""Beginnings of the names of the operators that a device must run."""

_LIBRARIES = {
    "CUDAExecutionProvider": "cuda",
    "TensorrtExecutionProvider": "tensorrt",
    "MIGraphXExecutionProvider": "migraphx",
    "OpenVINOExecutionProvider": "openvino",
    "QNNExecutionProvider": "qnn",
}
"""Device → the last part of its library's name, if it has a library of its own."""


def count_nodes(session: Any) -> dict[str, Counter[str]]:
    """Return execution provider → operator → the number of its nodes on that provider.

    Empty if onnxruntime does not report it: before 1.24, or without session.record_ep_graph_assignment_info.
    """
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return {}
    placed: dict[str, Counter[str]] = {}
    for subgraph in session.get_provider_graph_assignment_info():
        counts = placed.setdefault(subgraph.ep_name, Counter())
        counts.update(node.op_type for node in subgraph.get_nodes())
    return placed


def check_placement(session: Any, options: Options) -> None:
    """Raise ProviderError if a device leaves a matmul, or more than ``cpu_share`` of the nodes, to another.

    If it may leave all of them, a matmul that it leaves is a FallbackWarning.
    onnxruntime keeps arithmetic on shapes on the CPU on purpose, where it costs least.
    """
    placed = count_nodes(session)
    total = sum(counts.total() for counts in placed.values())
    left = sum((counts for name, counts in placed.items() if name != options.device), Counter[str]())
    matmuls = sum(count for name, count in left.items() if name.removeprefix("Fused").startswith(_MATMULS))
    if not matmuls and left.total() <= options.cpu_share * total:
        return
    names = ", ".join(f"{count} {name}" for name, count in left.most_common(5))
    message = (
        f"onnxruntime does not run {left.total()} of {total} nodes on {options.device}, among them "
        f"{matmuls} matmuls ({names})"
    )
    if options.cpu_share < 1:
        raise ProviderError(
            f"{message}; at most {options.cpu_share:.0%} of the nodes and no matmul may be left"
        )
    warnings.warn(message, FallbackWarning, stacklevel=3)


def missing_library(device: str) -> str:
    """Return the dynamic linker's error for a device's library, "" if it loads or the device has none.

    onnxruntime writes the same to standard error and raises nothing. Call this after a session failed to
    open: the library needs what that loads first.
    """
    import onnxruntime

    if device not in _LIBRARIES:
        return ""
    pattern = {"win32": "onnxruntime_providers_{}.dll", "darwin": "libonnxruntime_providers_{}.dylib"}.get(
        sys.platform, "libonnxruntime_providers_{}.so"
    )
    folder = Path(onnxruntime.__file__).parent / "capi"
    try:
        ctypes.CDLL(str(folder / pattern.format("shared")), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / pattern.format(_LIBRARIES[device])))
    except OSError as error:
        return str(error)
    return ""
