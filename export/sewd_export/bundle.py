"""Write the files of a bundle, and verify it with the reader."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.bundle.manifest import (
    GOLDEN_NAME,
    LABELS_NAME,
    MANIFEST_NAME,
    VOCAB_NAME,
    FileEntry,
    Manifest,
)
from sewd_runtime.bundle.sensitivity import Sensitivity, sensitivity_file
from sewd_runtime.system.hashing import sha256_of

if TYPE_CHECKING:
    from sewd_export.checkpoint.loading import Checkpoint

_COPIED = ("config.json", "preprocessor_config.json", "processor_config.json")


def write_vocabulary(checkpoint: Checkpoint, folder: Path) -> None:
    """Write vocab.json of a CTC model, labels.json of a classifier."""
    if checkpoint.vocabulary is not None:
        _write_json(folder / VOCAB_NAME, checkpoint.vocabulary.tokens)
    if checkpoint.labels is not None:
        _write_json(folder / LABELS_NAME, list(checkpoint.labels))


def write_golden(folder: Path, samples: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Write the golden utterance `(samples,)` and the original's output for it, without the batch axis."""
    np.savez(folder / GOLDEN_NAME, samples=samples, expected=expected)


def write_sensitivities(folder: Path, sensitivities: Mapping[str, Sensitivity]) -> None:
    """Write what each precision keeps in float32, and why."""
    for precision, sensitivity in sensitivities.items():
        path = folder / sensitivity_file(precision)
        path.write_text(sensitivity.to_json(where=path.name), encoding="utf-8")


def copy_configs(checkpoint: Checkpoint, folder: Path) -> None:
    """Copy the checkpoint's configuration files, as far as they exist, byte for byte."""
    for name in _COPIED:
        if (checkpoint.folder / name).is_file():
            shutil.copyfile(checkpoint.folder / name, folder / name)


def hash_files(folder: Path) -> dict[str, FileEntry]:
    """Return size and sha256 of every file in the folder and in folders below it, by its path from there."""
    return {
        path.relative_to(folder).as_posix(): FileEntry(size_bytes=path.stat().st_size, sha256=sha256_of(path))
        for path in sorted(folder.rglob("*"))
        if not path.is_dir()
    }


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write bundle.json, then open the bundle with the reader and check every hash."""
    (folder / MANIFEST_NAME).write_text(manifest.to_json(), encoding="utf-8")
    bundle = open_bundle(folder)
    bundle.verify()
    assert bundle.manifest == manifest  # write-then-open is identity


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
