"""Recordings in folders."""

from pathlib import Path

from sewd_runtime.audio import media

_SUFFIXES = (
    *(".aif", ".aiff", ".au", ".caf", ".flac", ".mp3"),
    *(".oga", ".ogg", ".opus", ".rf64", ".w64", ".wav"),
)


def suffixes() -> tuple[str, ...]:
    """Return how the names of recordings end that can be read here, in lower case."""
    return _SUFFIXES + (media.SUFFIXES if media.is_installed() else ())


def find_recordings(folder: Path) -> list[Path]:
    """Return all recordings in a folder and in its folders, sorted."""
    endings = suffixes()
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in endings)
    return sorted(path for path in paths if path.is_file())
