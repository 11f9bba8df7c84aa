"""The packages that bring a library: which are installed, and what to install in their place."""

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version

ONNXRUNTIME = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-migraphx",
    "onnxruntime-openvino",
    "onnxruntime-qnn",
    "onnxruntime-webgpu",
)
"""What brings a folder ``onnxruntime``: several at once overwrite each other's files. onnxruntime-qnn does so
up to 1.x; later ones are plugins with a folder of their own, and go beside."""

_PLUGINS = {"onnxruntime-qnn": 2}
"""Package → the first major version that goes beside another."""


def find_packages(names: Iterable[str] = ONNXRUNTIME) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # noqa: PERF203 - the next may be installed
            continue
    return found


def find_rivals(found: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the installed packages that share the folder ``onnxruntime``; more than one has damaged it."""
    found = find_packages() if found is None else found
    return {
        name: number
        for name, number in found.items()
        if int(number.partition(".")[0]) < _PLUGINS.get(name, 1_000)
    }


def explain_install(requirement: str, *, package: str) -> str:
    """Return the commands that install a requirement of pip where it is to bring ``package``.

    Names the trap where it is one: pip installs onnxruntime and onnxruntime-gpu side by side, the later
    overwrites files of the earlier, and to uninstall one damages the other.
    """
    install = f"pip install {requirement!r}"
    rivals = find_rivals() if package in ONNXRUNTIME else {}
    if len(rivals) > 1:
        return (
            f"{' and '.join(rivals)} are both installed and overwrite each other's files: "
            f"pip uninstall -y {' '.join(rivals)}, then {install}"
        )
    if list(rivals) == [package]:  # after the other of two was uninstalled, and pip thinks that all is there
        repair = f"pip install --force-reinstall --no-deps {package}"
        return f"{package} is installed, its files are damaged: {repair}"
    if rivals and package not in rivals and package not in _PLUGINS:
        [wrong] = rivals
        return f"{wrong} is installed where {package} is needed: pip uninstall -y {wrong}, then {install}"
    return install
