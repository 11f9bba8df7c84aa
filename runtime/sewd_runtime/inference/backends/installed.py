"""Whether a library is installed, found out without importing it."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec


def find_version(module: str, *, packages: Sequence[str]) -> str | None:
    """Return the version of an importable module, which any of several packages may have brought.

    None where the module is absent, "unknown" where no package says that it brought it.
    """
    if find_spec(module) is None:
        return None
    for package in packages:
        try:
            return version(package)
        except PackageNotFoundError:  # noqa: PERF203 - the next may be the one
            continue
    return "unknown"
