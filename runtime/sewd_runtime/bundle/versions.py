"""Manifests of every format version, brought up to date before they are checked."""

from typing import Any

from sewd_runtime.errors import FormatVersionError, ManifestKeyError, ManifestTypeError

FORMAT_VERSION = 2
ENGINES_VERSION = 3
"""Format 2 plus the key `engines`. A bundle without engines stays format 2, so that older readers open it."""

_UNMEASURED = {"words": 0, "wer": None, "original_wer": None}
"""Keys of a parity that format 1 lacks."""


def upgrade(content: Any, where: str) -> dict[str, Any]:
    """Return a manifest's JSON with every key of today: format 1 becomes 2, with no words counted.

    Raises FormatVersionError for an unknown version, ManifestKeyError for a key of a later one; everything
    else is left to be checked.
    """
    version = _version(content, where)
    if version == 1:
        content = {
            **content,
            "format_version": FORMAT_VERSION,
            "precisions": _with_word_errors(content, where),
        }
    if version < ENGINES_VERSION:
        if "engines" in content:
            raise ManifestKeyError(f"{where}: engines is not a key of format {version}")
        content = {**content, "engines": {}}
    return dict(content)


def _version(content: Any, where: str) -> int:
    if not isinstance(content, dict):
        raise ManifestTypeError(f"{where}: the top must be an object")
    if "format_version" not in content:
        raise ManifestKeyError(f"{where}: format_version is missing; is this a sewd bundle?")
    version = content["format_version"]
    if type(version) is not int:
        raise ManifestTypeError(f"{where}: format_version must be an integer")
    if not 1 <= version <= ENGINES_VERSION:
        raise FormatVersionError(
            f"{where}: format_version is {version}, this sewd reads 1 to {ENGINES_VERSION}; "
            f"install a sewd that reads it, or export the checkpoint again"
        )
    return version


def _with_word_errors(content: dict[str, Any], where: str) -> Any:
    precisions = content.get("precisions")
    if not isinstance(precisions, dict):
        return precisions
    upgraded = {}
    for name, entry in precisions.items():
        parity = entry.get("parity") if isinstance(entry, dict) else None
        if isinstance(parity, dict):
            if surplus := _UNMEASURED.keys() & parity:
                raise ManifestKeyError(
                    f"{where}: precisions.{name}.parity: {min(surplus)} is not a key of format 1"
                )
            entry = {**entry, "parity": {**parity, **_UNMEASURED}}
        upgraded[name] = entry
    return upgraded
