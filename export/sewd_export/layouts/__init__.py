"""The folders that other tools open: a bundle's graphs behind each tool's inputs and outputs.

The command reads this table for its choices, so the modules behind it are imported when they are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

__all__ = ["LAYOUTS", "Layout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a tool opens.

    module: in this folder. It has `adapt(model, manifest)`, which gives a graph the tool's inputs and outputs
        in place, and `write_files(bundle)` → file name → text, the files that the tool reads beside graphs.
    """

    tool: str
    module: str

    def load(self) -> ModuleType:
        """Import the module."""
        return import_module(f"{__name__}.{self.module}")


LAYOUTS: Mapping[str, Layout] = {
    "onnx-asr": Layout(tool="onnx-asr's wav2vec2-ctc models", module="onnx_asr"),
    "optimum": Layout(tool="Optimum's ORTModelForCTC", module="optimum"),
}
