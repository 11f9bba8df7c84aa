"""Write a bundle in another tool's layout."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import onnx_ir as ir

from sewd_export.bundle import staged
from sewd_export.errors import ExportError
from sewd_export.layouts import LAYOUTS
from sewd_export.precisions import REFERENCE
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.bundle.manifest import model_file


def write_layout(bundle: str | Path, layout: str, out: str | Path | None = None) -> Path:
    """Write a bundle in another tool's layout, and return the folder.

    float32 becomes `model.onnx`, other precisions `model.<precision>.onnx`.
    out: None is `<bundle>-<layout>`; a folder of this layout is replaced.
    Raises ExportError: an unknown layout, another task than ctc, a folder with other files; BundleError.
    """
    if layout not in LAYOUTS:
        raise ExportError(f"no layout is called {layout!r}; choose from {', '.join(LAYOUTS)}")
    opened = open_bundle(Path(bundle))
    opened.verify()
    manifest = opened.manifest
    if manifest.task != "ctc":
        raise ExportError(f"{opened.path}: its task is {manifest.task}; {LAYOUTS[layout].tool} need ctc")
    target = Path(out) if out is not None else opened.path.with_name(f"{opened.path.name}-{layout}")
    tool = LAYOUTS[layout].load()
    texts: dict[str, str] = tool.write_files(opened)
    graphs = {_graph_name(name): entry.file for name, entry in manifest.precisions.items()}
    with staged(target, check=lambda folder: check_folder(folder, {*texts, *graphs})) as folder:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        for name, file in graphs.items():
            model = ir.load(opened.path_of(file))
            tool.adapt(model, manifest)
            ir.save(model, folder / name)
    return target


def _graph_name(precision: str) -> str:
    return "model.onnx" if precision == REFERENCE else model_file(precision)


def check_folder(folder: Path, own: Collection[str]) -> None:
    """Raise ExportError if a folder has files other than `own`, which replacing it would remove."""
    foreign = {path.name for path in folder.iterdir()} - set(own) if folder.is_dir() else set()
    if foreign or (folder.exists() and not folder.is_dir()):
        names = ", ".join(sorted(foreign)) or "a file"
        raise ExportError(f"{folder}: has {names}, which is not of this layout; move it")
