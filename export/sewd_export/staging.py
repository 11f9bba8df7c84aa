"""Write a folder beside its target, then put it there at once; only what we wrote is ever replaced.

While it is written it lies in a hidden folder of ours, `.TARGET.<8 hex digits>.sewd-export`, locked against
other runs. What a killed run has left there has no lock, and the next run for the same target cleans it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import secrets
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from sewd_export.errors import ExportError, ExportWarning
from sewd_runtime.bundle.manifest import MANIFEST_NAME
from sewd_runtime.system.hashing import sha256_of

LAYOUT_NAME = "sewd-layout.json"
"""The record of a folder in another tool's layout; a bundle's is its manifest."""

_MARK, _NEW, _OLD = "sewd-export.json", "new", "old"
_MAX_RECORD_BYTES = 4 << 20


@contextlib.contextmanager
def staged(target: Path, *, record: str = MANIFEST_NAME) -> Iterator[Path]:
    """Yield an empty folder that replaces `target` if the block succeeds, else is removed.

    A kill at any moment leaves the old folder or the new one; where the file system cannot exchange two
    folders, it can leave none for a moment, and then the next run puts the old one back. If `target` is a
    link to a folder, the link stays.
    record: the file in it that names the others; what stands at `target` must have one (see `check_target`).
    Raises ExportError if `target` must not be replaced, or nothing can be written beside it.
    """
    if target.is_symlink() and not target.exists():
        raise ExportError(f"{target}: a link to nothing; remove it, or choose another -o")
    target = target.resolve()
    _clean(target)
    check_target(target, record=record)
    new_parents = [parent for parent in target.parents if not parent.exists()]
    work = target.with_name(f"{_work_prefix(target)}{secrets.token_hex(4)}.sewd-export")
    with contextlib.ExitStack() as stack:
        try:
            try:
                work.mkdir(parents=True)
                stack.enter_context(_locked(work))
                (work / _MARK).write_text(json.dumps({"target": target.name}), encoding="utf-8")
                (work / _NEW).mkdir()
            except OSError as error:
                reason = error.strerror
                raise ExportError(f"{target}: cannot be written: {reason}; choose another -o") from error
            yield work / _NEW
            _replace(target, work, record)
            _remove(work)
        except BaseException:  # Ctrl-C too
            _put_back(target, work)
            _remove(work)
            with contextlib.suppress(OSError):
                for parent in new_parents:  # innermost first
                    parent.rmdir()
            raise


def check_target(target: Path, *, record: str = MANIFEST_NAME) -> None:
    """Raise ExportError unless `target` is nothing, an empty folder, or what we wrote and no one changed.

    In the latter, the file `record` names every other file with its size and sha256, and some are there.
    """
    if not target.exists():
        return
    if not target.is_dir():
        raise ExportError(f"{target}: exists and is not a bundle; choose another -o, or remove it")
    if not any(target.iterdir()):
        return
    files = _recorded(target / record)
    present = _present(target) if files else set()
    if not present & set(files):
        raise ExportError(
            f"{target}: exists and is not a bundle or layout of ours (no {record} that names its files); "
            "choose another -o, or remove it"
        )
    changed = sorted(name for name in present - {record} if not _is_recorded(target / name, files.get(name)))
    if changed:
        names = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        raise ExportError(
            f"{target}: holds {names}, which is not as it was written there and would be removed; move it, "
            "or choose another -o"
        )


def _present(folder: Path) -> set[str]:
    """Return the paths in a folder of all files and links, and of folders that hold nothing."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir() or not any(path.iterdir())
    }


def _recorded(path: Path) -> dict[str, object]:
    """Return the entries of a record's `files`; none if it is not a record of ours."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _MAX_RECORD_BYTES:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
        return dict(content["files"]) if "format_version" in content else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _is_recorded(path: Path, entry: object) -> bool:
    """Return whether a path is a file, not a link, with the size and sha256 of its entry."""
    if not isinstance(entry, dict) or path.is_symlink() or not path.is_file():
        return False
    return path.stat().st_size == entry.get("size_bytes") and sha256_of(path) == entry.get("sha256")


def _replace(target: Path, work: Path, record: str) -> None:
    """Put the new folder in the place of `target`, and remove what was there."""
    check_target(target, record=record)  # minutes have passed
    if target.exists() and not _exchange(work / _NEW, target):
        target.rename(work / _OLD)
    if (work / _OLD).exists() or not target.exists():
        (work / _NEW).rename(target)


def _put_back(target: Path, work: Path) -> None:
    """Undo half a replacement: `target` is in our folder, and nothing is in its place."""
    with contextlib.suppress(OSError):
        if (work / _OLD).exists() and not target.exists():
            (work / _OLD).rename(target)


def _remove(work: Path) -> None:
    """Remove our folder as far as possible, the mark last."""
    for path in (work / _NEW, work / _OLD, work):
        shutil.rmtree(path, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders at once; return False where the system or the file system cannot."""
    names = {"linux": ("renameat2", -100, 2), "darwin": ("renameatx_np", -2, 2)}
    name, here, flag = names.get(sys.platform, ("", 0, 0))
    function = getattr(ctypes.CDLL(None), name, None) if name else None
    if function is None:
        return False
    return bool(function(here, os.fsencode(one), here, os.fsencode(other), flag) == 0)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool | None]:
    """Yield True with a lock on a folder, False if another process has it, None where there are no locks.

    The lock ends with the process.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield None
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_held: bool | None = True
        except BlockingIOError:
            is_held = False
        except OSError:  # some file systems
            is_held = None
        yield is_held
    finally:
        os.close(handle)


def _work_prefix(target: Path) -> str:
    return f".{target.name[:50]}."  # file systems limit names to 255 bytes


def _clean(target: Path) -> None:
    """Remove what killed runs for this target have left, after putting back an old folder that they moved."""
    pattern = re.compile(rf"{re.escape(_work_prefix(target))}[0-9a-f]{{8}}\.sewd-export")
    try:
        litter = [path for path in target.parent.iterdir() if pattern.fullmatch(path.name)]
    except OSError:
        return
    for work in litter:
        if not _is_ours(work, target):
            continue
        is_busy = False
        with contextlib.suppress(OSError), _locked(work) as is_held:
            is_busy = is_held is False
            if is_held:
                _put_back(target, work)
                _remove(work)
        if not is_busy and work.exists():
            warnings.warn(
                f"{work}: left by a run that was killed, or by one that still writes; it could not be "
                "removed: remove it when no export runs",
                ExportWarning,
                stacklevel=4,
            )


def _is_ours(work: Path, target: Path) -> bool:
    """Return whether a folder bears our mark for this target, or holds nothing beside it."""
    try:
        if work.is_symlink() or not {path.name for path in work.iterdir()} - {_MARK}:
            return not work.is_symlink()
        mark = json.loads((work / _MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return bool(mark == {"target": target.name})
