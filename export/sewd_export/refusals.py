"""What an export refuses before anything slow begins: nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from sewd_export.checkpoint.sources import EMBEDDED, find_source
from sewd_export.errors import ExportError
from sewd_export.precisions import REFERENCE
from sewd_runtime.audio.folders import find_recordings, suffixes
from sewd_runtime.bundle.folder import Bundle, open_bundle
from sewd_runtime.bundle.manifest import MANIFEST_NAME
from sewd_runtime.errors import SewdError


def check_recordings(folder: Path) -> list[Path]:
    """Return the recordings in a folder and its subfolders; raises ExportError if there are none."""
    if not folder.is_dir():
        raise ExportError(f"{folder}: no such folder")
    if not (paths := find_recordings(folder)):
        raise ExportError(f"{folder}: no recordings ({', '.join(suffixes())})")
    return paths


def check_added(bundle: Bundle, names: Sequence[str]) -> tuple[str, ...]:
    """Return the precisions to add to a bundle, without float32; raises ExportError."""
    present = bundle.manifest.precisions
    if REFERENCE not in present:
        raise ExportError(f"{bundle.path}: has no {REFERENCE} to convert; export it again")
    added = tuple(name for name in names if name != REFERENCE)
    if not added:
        raise ExportError(f"{bundle.path}: name the precisions to add")
    if there := [name for name in added if name in present]:
        raise ExportError(
            f"{bundle.path}: has {', '.join(there)} already; to make it anew, export the whole bundle again "
            f"with {_flags(present)}"
        )
    return added


def check_replaced(target: Path, names: Sequence[str], *, has_engines: bool) -> tuple[str, ...]:
    """Return the precisions of the bundle that is replaced; raises ExportError if one would be dropped."""
    if not (target / MANIFEST_NAME).is_file():
        return ()
    try:
        old = open_bundle(target).manifest
    except SewdError:  # `staged` checks that no file there is a stranger's
        return ()
    lost = [name for name in old.precisions if name not in names]
    kinds = {", ".join(lost): _flags(lost)} if lost else {}
    if old.engines and not has_engines:
        kinds["TensorRT engines"] = "--tensorrt"
    if kinds:
        raise ExportError(
            f"{target}: has {' and '.join(kinds)}, which this export would drop: add "
            f"{' '.join(kinds.values())}; or keep the bundle and bring new precisions into it with "
            f"--add {target}; or remove the folder first"
        )
    return tuple(old.precisions)


def bundle_of(name: str) -> Path:
    """Return the folder that a checkpoint of this name is exported to, if no other is given."""
    return Path(f"{name}-bundle")


def local_bundle_of(checkpoint: str | Path | None) -> Path | None:
    """Return the same of a checkpoint; None if only the Hub knows it."""
    is_local = checkpoint is None or checkpoint in EMBEDDED or Path(checkpoint).is_dir()
    return bundle_of(find_source(checkpoint).name) if is_local else None


def _flags(names: Iterable[str]) -> str:
    """Return the flags of the command that ask for these precisions."""
    return " ".join(f"--{name}" for name in names if name != REFERENCE)
