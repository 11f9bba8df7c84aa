"""Folders in which other tools look for a model: a bundle's graphs behind the interface of each tool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from sewd_export.bundle import staged
from sewd_export.errors import ExportError
from sewd_export.layouts import onnx_asr, optimum
from sewd_runtime.bundle.folder import Bundle, open_bundle
from sewd_runtime.bundle.manifest import Manifest

__all__ = ["LAYOUTS", "Layout", "check_folder", "write_layout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a tool opens.

    adapt: gives a graph, in place, the tool's inputs and outputs. files: file name → text, of what the tool
    reads beside the graphs.
    """

    tool: str
    adapt: Callable[[ir.Model, Manifest], None]
    files: Callable[[Bundle], Mapping[str, str]]


LAYOUTS: Mapping[str, Layout] = {
    "onnx-asr": Layout(
        tool="onnx-asr's wav2vec2-ctc models", adapt=onnx_asr.adapt, files=onnx_asr.write_files
    ),
    "optimum": Layout(tool="Optimum's ORTModelForCTC", adapt=optimum.adapt, files=optimum.write_files),
}


def write_layout(bundle: str | Path, layout: str, out: str | Path | None = None) -> Path:
    """Write a bundle as another tool opens it, and return the folder; float32 is `model.onnx`, other
    precisions `model.<precision>.onnx`.

    out: None is `<bundle>-<layout>`; a folder written before is replaced. Raises ExportError: no such
    layout, a task but ctc, a foreign folder; BundleError.
    """
    if layout not in LAYOUTS:
        raise ExportError(f"no layout is called {layout!r}; there are {', '.join(LAYOUTS)}")
    row, opened = LAYOUTS[layout], open_bundle(Path(bundle))
    opened.verify()
    manifest = opened.manifest
    if manifest.task != "ctc":
        raise ExportError(f"{opened.path}: is for {manifest.task}; {row.tool} takes ctc")
    target = Path(out) if out is not None else opened.path.with_name(f"{opened.path.name}-{layout}")
    texts = row.files(opened)
    graphs = {_graph_name(name): entry.file for name, entry in manifest.precisions.items()}
    with staged(target, check=lambda folder: check_folder(folder, {*texts, *graphs})) as folder:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        for name, file in graphs.items():
            model = ir.load(opened.path_of(file))
            row.adapt(model, manifest)
            ir.save(model, folder / name)
    return target


def _graph_name(precision: str) -> str:
    return "model.onnx" if precision == "fp32" else f"model.{precision}.onnx"


def check_folder(folder: Path, own: set[str]) -> None:
    """Raise ExportError where a folder holds what is not of ``own`` names, and would be lost."""
    foreign = {path.name for path in folder.iterdir()} - own if folder.is_dir() else set()
    if foreign or (folder.exists() and not folder.is_dir()):
        names = ", ".join(sorted(foreign)) or "no folder's content"
        raise ExportError(f"{folder}: holds {names}, which is not of this layout; move it")
