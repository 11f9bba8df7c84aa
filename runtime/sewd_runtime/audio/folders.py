"""Recordings in folders.

A name that cannot be looked up, too long or in a folder that is locked, is no folder: opening it says why.
"""

import os
from glob import glob, has_magic
from pathlib import Path

from sewd_runtime.audio import media

_SUFFIXES = (
    *(".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp2", ".mp3", ".mpga"),
    *(".oga", ".ogg", ".opus", ".rf64", ".sph", ".voc", ".w64", ".wav"),
)


def suffixes(*, ffmpeg: bool = False) -> tuple[str, ...]:
    """Return how names of recordings end that can be read here, in lower case; ffmpeg: by it too."""
    return _SUFFIXES + (media.SUFFIXES if ffmpeg or media.is_installed() else ())


def is_folder(name: str) -> bool:
    """Return whether a name is that of a folder; False, not an error, for one that cannot be looked up."""
    return os.path.isdir(name)  # noqa: PTH112 - Path.is_dir raises


def find_recordings(folder: Path, *, ffmpeg: bool = False) -> list[Path]:
    """Return all recordings in a folder and in its folders, sorted.

    Names that begin with a dot are left out, as by ``*``: on some disks macOS puts ``._NAME`` beside NAME.
    """
    endings = suffixes(ffmpeg=ffmpeg)
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in endings and path.name[0] != ".")
    return sorted(path for path in paths if os.path.isfile(path))  # noqa: PTH113 - Path.is_file raises


def expand(name: str) -> list[str]:
    """Return the files that a pattern (``*``, ``?``, ``[``) matches, sorted; else the name as it is."""
    if not has_magic(name) or os.path.exists(name):  # noqa: PTH110 - Path.exists raises
        return [name]
    return sorted(glob(name, recursive=True)) or [name]  # noqa: PTH207 - a pattern with any folder
