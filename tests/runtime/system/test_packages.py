"""Law: whatever is installed, the commands given leave the needed package installed, and it alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sewd_runtime.system import packages
from sewd_runtime.system.packages import ONNXRUNTIME, explain_install, find_conflicts, find_packages

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function after which only these packages are installed, as pip records them."""

    def write(**installed: str) -> None:
        for name, version in installed.items():
            folder = tmp_path / f"{name}-{version}.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        monkeypatch.setattr("sys.path", [str(tmp_path)])

    return write


def test_what_is_installed_is_found(install: Install) -> None:
    install(onnxruntime="1.32.0", onnxruntime_gpu="1.31.1", other="1")
    assert find_packages() == {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"}
    assert set(find_packages()) <= set(ONNXRUNTIME)


def test_both_at_once_overwrite_each_other(install: Install) -> None:
    install(onnxruntime="1.32.0", onnxruntime_gpu="1.31.1")
    for package in ("onnxruntime", "onnxruntime-gpu"):
        assert explain_install("sewd[gpu]", package=package) == (
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other's files: "
            "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install 'sewd[gpu]'"
        )


def test_the_wrong_package_is_uninstalled_first(install: Install) -> None:
    install(onnxruntime="1.32.0")
    assert explain_install("sewd[gpu]", package="onnxruntime-gpu") == (
        "onnxruntime is installed where onnxruntime-gpu is needed: "
        "pip uninstall -y onnxruntime, then pip install 'sewd[gpu]'"
    )


def test_a_package_damaged_by_another_is_reinstalled(install: Install) -> None:
    install(onnxruntime_gpu="1.31.1")
    assert explain_install("sewd[gpu]", package="onnxruntime-gpu") == (
        "onnxruntime-gpu is installed, its files are damaged: "
        "pip install --force-reinstall --no-deps onnxruntime-gpu"
    )


def test_a_missing_package_is_installed(install: Install) -> None:
    install()
    assert explain_install("sewd[gpu]", package="onnxruntime-gpu") == "pip install 'sewd[gpu]'"


def test_another_library_does_not_conflict(install: Install) -> None:
    install(onnxruntime="1.32.0", openvino="2026.4.1")
    assert explain_install("sewd[openvino]", package="openvino") == "pip install 'sewd[openvino]'"


@pytest.mark.parametrize(("version", "conflicts"), [("1.24.0", 2), ("2.7.0", 1)])
def test_a_plugin_is_installed_beside(install: Install, version: str, conflicts: int) -> None:
    install(onnxruntime="1.32.0", onnxruntime_qnn=version)
    assert len(find_conflicts()) == conflicts


def test_what_is_installed_here_is_one_package() -> None:
    assert len(find_conflicts()) <= 1, packages.explain_install("sewd[cpu]", package="onnxruntime")
