"""Which version of a library is installed, without importing it."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec


def find_version(module: str, *, packages: Sequence[str]) -> str | None:
    """Return the version of an importable module, which any of several packages may bring.

    None if there is no such module, "unknown" if none of the packages is installed.
    """
    if find_spec(module) is None:
        return None
    for package in packages:
        try:
            return version(package)
        except PackageNotFoundError:  # noqa: PERF203 - another may bring it
            continue
    return "unknown"
