"""Execution providers that are packages beside onnxruntime and must be registered with it."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

PLUGINS = {"QNNExecutionProvider": "onnxruntime_qnn"}
"""Execution provider → the module that knows the path of its library."""

_ORDER = ("NPU", "GPU", "CPU")


def register_plugins(onnxruntime: Any) -> None:
    """Register the installed plugins that onnxruntime does not know yet; before 1.24 it takes none."""
    if not hasattr(onnxruntime, "get_ep_devices"):
        return
    for name, module in PLUGINS.items():
        if name not in onnxruntime.get_available_providers() and find_spec(module) is not None:
            library = import_module(module).get_library_path()
            onnxruntime.register_execution_provider_library(name, library)


def choose_plugin_device(onnxruntime: Any, name: str) -> Any:
    """Return the device for a plugin, an NPU rather than a GPU; None for a provider that is no plugin.

    A plugin must be selected by device: if it is named in ``providers``, onnxruntime silently uses the CPU.
    """
    if name not in PLUGINS or not hasattr(onnxruntime, "get_ep_devices"):
        return None
    devices = [device for device in onnxruntime.get_ep_devices() if device.ep_name == name]
    return min(devices, key=lambda device: _ORDER.index(device.device.type.name), default=None)
