"""Write a static page that transcribes in the browser: sewd-web, a bundle's model and onnxruntime-web."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from sewd_export.bundle import hash_files
from sewd_export.errors import ExportError
from sewd_export.layouts.writing import write_record
from sewd_export.staging import LAYOUT_NAME, staged
from sewd_runtime.bundle.folder import Bundle, open_bundle
from sewd_runtime.bundle.manifest import MANIFEST_NAME, VOCAB_NAME

ORT_WEB = "1.30.0"
"""The version of onnxruntime-web that is tested."""

_PRECISIONS = ("int8", "fp32")
"""The first of these that a bundle has is the one to run."""

# In a wheel, what the repository has in `web/` is a part of this package.
_SOURCES = next(
    folder
    for folder in (Path(__file__).parents[1] / "web", Path(__file__).parents[3] / "web")
    if folder.is_dir()
)
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'"
)


def write_site(bundle: str | Path, out: str | Path, *, ort_web: Path | None = None) -> Path:
    """Write the page into a folder for any static host, and return the folder.

    out: what this wrote there earlier is replaced, if it is unchanged.
    ort_web: the folder of the npm package onnxruntime-web; None: `node_modules/onnxruntime-web` in the
        current folder or one above it.
    Raises ExportError: another task than ctc, no onnxruntime-web; BundleError.
    """
    opened = open_bundle(Path(bundle))
    opened.verify()
    if opened.manifest.task != "ctc":
        raise ExportError(f"{opened.path}: its task is {opened.manifest.task}; the page needs ctc")
    packages = ort_web or _find_ort_web(Path.cwd())
    with staged(Path(out), record=LAYOUT_NAME) as folder:
        shutil.copytree(_SOURCES / "site", folder, dirs_exist_ok=True)
        (folder / "main.js").rename(folder / "page/main.js")  # as a server has it
        shutil.copytree(_SOURCES / "src", folder / "sewd-web")
        _write_ort(packages, folder / "ort")
        _write_model(opened, folder)
        _write_index(folder)
        worker = folder / "service-worker.js"
        files = {name: asdict(entry) for name, entry in hash_files(folder).items() if name != worker.name}
        worker.write_text(f"{_declaration(files)}\n{worker.read_text('utf-8')}", encoding="utf-8")
        write_record(folder, "web")
    return Path(out)


def _find_ort_web(start: Path) -> Path:
    for folder in (start, *start.parents):
        if (found := folder / "node_modules/onnxruntime-web").is_dir():
            return found
    raise ExportError(
        f"{start}: no node_modules/onnxruntime-web here or above, which the page runs the model with; run "
        f"npm install onnxruntime-web@{ORT_WEB}, or give its folder as --ort-web"
    )


def _write_ort(package: Path, folder: Path) -> None:
    """Write onnxruntime's module for the CPU, and its WebAssembly compressed: 3.7 of 14.2 MB."""
    folder.mkdir()
    module, wasm = package / "dist/ort.wasm.bundle.min.mjs", package / "dist/ort-wasm-simd-threaded.wasm"
    for path in (module, wasm):
        if not path.is_file():
            raise ExportError(f"{path}: not there; run npm install onnxruntime-web@{ORT_WEB}")
    shutil.copyfile(module, folder / "ort.js")
    compressed = gzip.compress(wasm.read_bytes(), compresslevel=9, mtime=0)
    (folder / "ort.wasm.gz").write_bytes(compressed)


def _write_model(bundle: Bundle, site: Path) -> None:
    """Copy what the page needs of the bundle: its manifest, its vocabulary, and one precision."""
    precisions = bundle.manifest.precisions
    precision = next((name for name in _PRECISIONS if name in precisions), next(iter(precisions)))
    (site / "model").mkdir()
    for name in (MANIFEST_NAME, VOCAB_NAME, precisions[precision].file):
        shutil.copyfile(bundle.path / name, site / "model" / name)
    (site / "page/model.js").write_text(f"export default {json.dumps({'precision': precision})};\n")


def _write_index(site: Path) -> None:
    """Put the page in the site's root, with a policy that lets it load only its own files."""
    page = (site / "page/index.html").rename(site / "index.html")
    before, tag, after = page.read_text("utf-8").partition('<meta charset="utf-8">')
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    page.write_text(f"{before}{tag}\n    {policy}{after}", encoding="utf-8")


def _declaration(files: Mapping[str, object]) -> str:
    """Return the first line of the service worker; a change of any file makes it another version."""
    version = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]
    return f"const SITE = {json.dumps({'version': version, 'files': files})};"
