"""Writing a bundle: beside the target, verified by the reader, then renamed."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sewd_export.checkpoint import Checkpoint
from sewd_export.errors import ExportError
from sewd_export.vocabulary import read_vocabulary
from sewd_runtime.bundle import (
    GOLDEN_NAME,
    LABELS_NAME,
    MANIFEST_NAME,
    VOCAB_NAME,
    CtcEntry,
    FileEntry,
    Manifest,
    open_bundle,
    sha256_of,
)

_COPIED = ("config.json", "preprocessor_config.json")


@contextlib.contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target` that takes its place when the block ends well, and vanishes when
    not.

    A kill at any moment leaves the old bundle or none. Raises ExportError: `target` is there and is not a
    bundle.
    """
    check_target(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        stage.chmod(0o755)  # mkdtemp's 0700 would hide the bundle from other users
        yield stage
        if target.exists():
            old = stage.with_suffix(".old")
            target.rename(old)
            stage.rename(target)
            shutil.rmtree(old)
        else:
            stage.rename(target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def check_target(target: Path) -> None:
    """Raise ExportError unless a bundle may be written here: nothing is there, an empty folder, or a
    bundle."""
    if not target.exists() or (target / MANIFEST_NAME).is_file():
        return
    if not target.is_dir() or any(target.iterdir()):
        raise ExportError(f"{target}: exists and is not a bundle; choose another -o, or remove it")


def write_vocabulary(checkpoint: Checkpoint, folder: Path) -> CtcEntry | None:
    """Write vocab.json or labels.json as the task wants it; return the manifest's `ctc` entry, None for
    other tasks."""
    if checkpoint.task == "ctc":
        tokens, ctc = read_vocabulary(checkpoint.folder, blank_id=checkpoint.config.pad_token_id)
        _write_json(folder / VOCAB_NAME, tokens)
        return ctc
    if checkpoint.task == "classification":
        _write_json(folder / LABELS_NAME, list(checkpoint.labels or ()))
    return None


def write_golden(folder: Path, samples: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Write the utterance `(samples,)` and the original's output for it, without the batch axis."""
    np.savez(folder / GOLDEN_NAME, samples=samples, expected=expected)


def copy_configs(checkpoint: Checkpoint, folder: Path) -> None:
    """Copy the checkpoint's own configuration files byte for byte, those it has."""
    for name in _COPIED:
        if (checkpoint.folder / name).is_file():
            shutil.copyfile(checkpoint.folder / name, folder / name)


def hash_files(folder: Path) -> dict[str, FileEntry]:
    """Return size and sha256 of every file in the folder."""
    return {
        path.name: FileEntry(size_bytes=path.stat().st_size, sha256=sha256_of(path))
        for path in sorted(folder.iterdir())
    }


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write bundle.json, then open the bundle with the reader and check every hash."""
    (folder / MANIFEST_NAME).write_text(manifest.to_json(), encoding="utf-8")
    bundle = open_bundle(folder)
    bundle.verify()
    assert bundle.manifest == manifest  # write-then-open is identity


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
