"""Write a bundle in another tool's layout."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import onnx_ir as ir

from sewd_export.bundle import hash_files
from sewd_export.errors import ExportError
from sewd_export.layouts import LAYOUTS
from sewd_export.precisions import REFERENCE
from sewd_export.staging import LAYOUT_NAME, staged
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.bundle.manifest import model_file


def write_layout(bundle: str | Path, layout: str, out: str | Path | None = None) -> Path:
    """Write a bundle in another tool's layout, and return the folder.

    float32 becomes `model.onnx`, other precisions `model.<precision>.onnx`.
    out: None is `<bundle>-<layout>`; what this wrote there earlier is replaced, if it is unchanged.
    Raises ExportError: an unknown layout, another task than ctc, a folder with anything else; BundleError.
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
    with staged(target, record=LAYOUT_NAME) as folder:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        for name, file in graphs.items():
            model = ir.load(opened.path_of(file))
            tool.adapt(model, manifest)
            ir.save(model, folder / name)
        write_record(folder, layout)
    return target


def _graph_name(precision: str) -> str:
    return "model.onnx" if precision == REFERENCE else model_file(precision)


def write_record(folder: Path, layout: str) -> None:
    """Write `sewd-layout.json`: the size and sha256 of each file, which the next run may replace."""
    files = {name: dataclasses.asdict(entry) for name, entry in hash_files(folder).items()}
    content = {"format_version": 1, "layout": layout, "files": files}
    (folder / LAYOUT_NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
