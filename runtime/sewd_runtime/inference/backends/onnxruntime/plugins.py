"""Execution providers of onnxruntime that come as packages beside it and have to be registered."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

PLUGINS = {"QNNExecutionProvider": "onnxruntime_qnn"}
"""Execution provider → the module that says where its library lies."""

_ORDER = ("NPU", "GPU", "CPU")


def register_plugins(onnxruntime: Any) -> None:
    """Make known to onnxruntime what is installed and not known yet; onnxruntime before 1.24 takes none."""
    if not hasattr(onnxruntime, "get_ep_devices"):
        return
    for name, module in PLUGINS.items():
        if name not in onnxruntime.get_available_providers() and find_spec(module) is not None:
            library = import_module(module).get_library_path()
            onnxruntime.register_execution_provider_library(name, library)


def choose_plugin_device(onnxruntime: Any, name: str) -> Any:
    """Return the device that a plugin is to run on, an NPU before a GPU; None for what is no plugin.

    A plugin is chosen by its device: named in ``providers``, onnxruntime takes the processor in its place.
    """
    if name not in PLUGINS or not hasattr(onnxruntime, "get_ep_devices"):
        return None
    devices = [device for device in onnxruntime.get_ep_devices() if device.ep_name == name]
    return min(devices, key=lambda device: _ORDER.index(device.device.type.name), default=None)
