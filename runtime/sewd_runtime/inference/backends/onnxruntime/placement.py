"""Where onnxruntime put a model's nodes, and why it did not load a device."""

import ctypes
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from sewd_runtime.errors import FallbackWarning, ProviderError
from sewd_runtime.inference.backends import Options

_PRODUCTS = ("MatMul", "Gemm", "Conv", "Attention")
"""What the operators are called, or begin with, that a device is for."""

_LIBRARIES = {
    "CUDAExecutionProvider": "cuda",
    "TensorrtExecutionProvider": "tensorrt",
    "MIGraphXExecutionProvider": "migraphx",
    "OpenVINOExecutionProvider": "openvino",
    "QNNExecutionProvider": "qnn",
}
"""Device → the last part of its library's name, where it lies in one of its own."""


def count_nodes(session: Any) -> dict[str, Counter[str]]:
    """Return execution provider → operator → how many nodes of it were given to that provider.

    Empty where onnxruntime does not tell: before 1.24, or without session.record_ep_graph_assignment_info.
    """
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return {}
    found: dict[str, Counter[str]] = {}
    for subgraph in session.get_provider_graph_assignment_info():
        counts = found.setdefault(subgraph.ep_name, Counter())
        counts.update(node.op_type for node in subgraph.get_nodes())
    return found


def check_placement(session: Any, options: Options) -> None:
    """Raise ProviderError where a device leaves a product, or more than its share of nodes, to another.

    Where it may leave all of them, a product that is left is a FallbackWarning.
    onnxruntime keeps arithmetic on shapes on the processor on purpose; there it costs least.
    """
    placed = count_nodes(session)
    total = sum(counts.total() for counts in placed.values())
    left = sum((counts for name, counts in placed.items() if name != options.device), Counter[str]())
    products = sum(count for name, count in left.items() if name.removeprefix("Fused").startswith(_PRODUCTS))
    if not products and left.total() <= options.cpu_share * total:
        return
    names = ", ".join(f"{count} {name}" for name, count in left.most_common(5))
    found = (
        f"onnxruntime leaves {left.total()} of {total} nodes to others than {options.device}, of them "
        f"{products} products ({names})"
    )
    if options.cpu_share < 1:
        raise ProviderError(f"{found}; allowed are {options.cpu_share:.0%} of the nodes and no product")
    warnings.warn(found, FallbackWarning, stacklevel=3)


def missing_library(device: str) -> str:
    """Return what the dynamic linker says of a device's library, "" where it loads or has none of its own.

    onnxruntime writes the same to standard error and raises nothing. To be called after a session was tried:
    the library expects what that one loads first.
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
