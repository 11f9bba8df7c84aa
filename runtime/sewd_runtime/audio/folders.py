"""Recordings in folders."""

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


def find_recordings(folder: Path, *, ffmpeg: bool = False) -> list[Path]:
    """Return all recordings in a folder and in its folders, sorted."""
    endings = suffixes(ffmpeg=ffmpeg)
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in endings)
    return sorted(path for path in paths if path.is_file())


def expand(name: str) -> list[str]:
    """Return the files that a pattern (``*``, ``?``, ``[``) matches, sorted; else the name as it is."""
    if not has_magic(name) or Path(name).exists():
        return [name]
    return sorted(glob(name, recursive=True)) or [name]  # noqa: PTH207 - a pattern with any folder
