"""The packages that bring a library: which are installed, and what to install."""

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from sewd_runtime.errors import MissingPackageError

ONNXRUNTIME = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-migraphx",
    "onnxruntime-openvino",
    "onnxruntime-qnn",
    "onnxruntime-webgpu",
)
"""Packages that bring a folder ``onnxruntime``; if several are installed, they overwrite each other's files.
onnxruntime-qnn does so up to 1.x; from 2.x on it is a plugin with a folder of its own."""

_PLUGINS = {"onnxruntime-qnn": 2}
"""Package → the first major version that is a plugin."""


def find_packages(names: Iterable[str] = ONNXRUNTIME) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    versions = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # noqa: PERF203 - the next may be installed
            continue
    return versions


def find_version(module: str, *, packages: Iterable[str]) -> str | None:
    """Return the version of a module, which any of several packages may bring, without importing it.

    None if there is no such module, "unknown" if none of the packages is installed.
    """
    if find_spec(module) is None:
        return None
    return next(iter(find_packages(packages).values()), "unknown")


def find_matplotlib(extra: str) -> Any:
    """Return matplotlib's Figure class; raises MissingPackageError, which names the extra that brings it."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackageError(f"plots need matplotlib: pip install 'sewd[{extra}]' ({error})") from error
    return Figure


def find_conflicts(versions: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the installed packages that share the folder ``onnxruntime``; more than one have damaged it."""
    versions = find_packages() if versions is None else versions
    return {
        name: number
        for name, number in versions.items()
        if int(number.partition(".")[0]) < _PLUGINS.get(name, 1_000)
    }


def explain_install(requirement: str, *, package: str) -> str:
    """Return the commands that install a pip requirement which is to bring ``package``.

    Pip installs onnxruntime and onnxruntime-gpu side by side; the later one overwrites files of the earlier
    one, and uninstalling either damages the other. Where that is the case here, the commands repair it.
    """
    install = f"pip install {requirement!r}"
    conflicts = find_conflicts() if package in ONNXRUNTIME else {}
    if len(conflicts) > 1:
        return (
            f"{' and '.join(conflicts)} are both installed and overwrite each other's files: "
            f"pip uninstall -y {' '.join(conflicts)}, then {install}"
        )
    if list(conflicts) == [package]:  # the other one was uninstalled, and pip believes this one complete
        repair = f"pip install --force-reinstall --no-deps {package}"
        return f"{package} is installed, its files are damaged: {repair}"
    if conflicts and package not in conflicts and package not in _PLUGINS:
        [wrong] = conflicts
        return f"{wrong} is installed where {package} is needed: pip uninstall -y {wrong}, then {install}"
    return install
