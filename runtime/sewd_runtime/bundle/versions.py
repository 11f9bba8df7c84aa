"""Manifests of every format version, brought up to date before they are checked."""

from collections.abc import Mapping
from typing import Any

from sewd_runtime.errors import FormatVersionError, ManifestKeyError, ManifestTypeError

FORMAT_VERSION = 4
"""Every manifest is written in it. In memory, manifests of older formats have it too."""

_ENGINES = 3
"""The first format with the key `engines`; only this one requires an entry there."""

_UNMEASURED = {"words": 0, "wer": None, "original_wer": None}
"""Keys of a parity that format 1 lacks."""


def upgrade(content: Any, where: str) -> dict[str, Any]:
    """Return a manifest's JSON in today's format.

    Format 1 counted no words, 1 and 2 had no engines, 1 to 3 did not record failures and calibration and had
    no language model, which is optional in 4.
    Raises FormatVersionError for an unknown version, ManifestKeyError for a key of a later one; everything
    else is left to be checked.
    """
    version = _version(content, where)
    content = {**content, "format_version": FORMAT_VERSION}
    refused = f"is not a key of format {version}"
    if version < 2:
        _add_to_precisions(content, _UNMEASURED, within="parity", where=where, refused=refused)
    if version < _ENGINES:
        _add(content, {"engines": {}}, where=where, refused=refused)
    if version == _ENGINES and content.get("engines") == {}:
        raise ManifestTypeError(f"{where}: engines must have entries in format {version}")
    if version < FORMAT_VERSION:
        _add(content, {"failed": {}}, where=where, refused=refused)
        _add(content, {"language_model": None}, where=where, refused=refused)
        _add_to_precisions(content, {"calibrated": None}, within=None, where=where, refused=refused)
    elif content.get("language_model", ...) is None:
        raise ManifestTypeError(
            f"{where}: language_model must be an object; leave the key out if there is none"
        )
    return {"language_model": None, **content}


def _version(content: Any, where: str) -> int:
    if not isinstance(content, dict):
        raise ManifestTypeError(f"{where}: the top must be an object")
    if "format_version" not in content:
        raise ManifestKeyError(f"{where}: format_version is missing; is this a sewd bundle?")
    version = content["format_version"]
    if type(version) is not int:
        raise ManifestTypeError(f"{where}: format_version must be an integer")
    if not 1 <= version <= FORMAT_VERSION:
        raise FormatVersionError(
            f"{where}: format_version is {version}, this sewd reads 1 to {FORMAT_VERSION}; "
            f"install a sewd that reads it, or export the checkpoint again"
        )
    return version


def _add(content: dict[str, Any], keys: Mapping[str, Any], *, where: str, refused: str) -> None:
    """Add keys of a later format, in place; raises ManifestKeyError for one that is there already."""
    if surplus := keys.keys() & content:
        raise ManifestKeyError(f"{where}: {min(surplus)} {refused}")
    content.update(keys)


def _add_to_precisions(
    content: dict[str, Any], keys: Mapping[str, Any], *, within: str | None, where: str, refused: str
) -> None:
    """Add keys to each precision's entry, or to the object of that name within it."""
    precisions = content.get("precisions")
    if not isinstance(precisions, dict):
        return
    content["precisions"] = dict(precisions)
    for name, entry in precisions.items():
        path = f"{where}: precisions.{name}" + (f".{within}" if within else "")
        place = entry.get(within) if within and isinstance(entry, dict) else entry
        if isinstance(place, dict):
            changed = dict(place)
            _add(changed, keys, where=path, refused=refused)
            content["precisions"][name] = {**entry, within: changed} if within else changed
