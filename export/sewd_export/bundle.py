"""Write a bundle beside its target, verify it with the reader, then rename it."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sewd_export.errors import ExportError
from sewd_runtime.bundle.folder import open_bundle, sha256_of
from sewd_runtime.bundle.manifest import (
    GOLDEN_NAME,
    LABELS_NAME,
    MANIFEST_NAME,
    VOCAB_NAME,
    FileEntry,
    Manifest,
)
from sewd_runtime.bundle.sensitivity import Sensitivity, sensitivity_file

if TYPE_CHECKING:
    from sewd_export.checkpoint.loading import Checkpoint

_COPIED = ("config.json", "preprocessor_config.json", "processor_config.json")


@contextlib.contextmanager
def staged(target: Path, check: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Yield an empty folder beside `target` that replaces it if the block succeeds, else is removed.

    A kill at any moment leaves the old bundle or none. If `target` is a link, the link stays.
    check: raises ExportError if `target` must not be replaced; by default, if it exists and is not a bundle.
    Raises that, and ExportError if nothing can be written beside it.
    """
    (check or check_target)(target)
    target = target.resolve()
    new_parents = [parent for parent in target.parents if not parent.exists()]
    stage = target.parent / f".{target.name}.{secrets.token_hex(4)}"
    try:
        try:
            stage.mkdir(parents=True)
        except OSError as error:
            raise ExportError(f"{target}: cannot be written: {error.strerror}; choose another -o") from error
        yield stage
        _replace(target, stage)
    except BaseException:  # Ctrl-C too
        shutil.rmtree(stage, ignore_errors=True)
        with contextlib.suppress(OSError):
            for parent in new_parents:  # innermost first
                parent.rmdir()
        raise


def _replace(target: Path, stage: Path) -> None:
    """Rename the folder `stage` to `target`, and remove what was there."""
    if not target.exists():
        stage.rename(target)
        return
    old = stage.with_name(f"{stage.name}.old")  # unique, so no killed run can have left it
    target.rename(old)
    try:
        stage.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def check_target(target: Path) -> None:
    """Raise ExportError unless a bundle may be written here: no file or folder, an empty folder, or a bundle.

    Replacing removes the whole folder, so a bundle there must not hold foreign files.
    """
    if target.is_dir():
        present = {path.name for path in target.iterdir()}
        foreign = sorted(present - _own_names(target))
        if not foreign:
            return
        if MANIFEST_NAME in present and MANIFEST_NAME not in foreign:
            raise ExportError(
                f"{target}: holds {', '.join(foreign)}, which is not part of the bundle there and would be "
                f"removed; move it, or choose another -o"
            )
    elif not target.exists():
        return
    raise ExportError(f"{target}: exists and is not a bundle; choose another -o, or remove it")


def _own_names(folder: Path) -> set[str]:
    """Return the names of a bundle's files, whatever its format version; none if there is no manifest."""
    try:
        content = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
        return {MANIFEST_NAME, *content["files"]} if "format_version" in content else set()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()


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
