"""The sample, built with sanitizers, and the embedded models in onnxruntime's own format."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.edge import EMBEDDED, HEADERS, build_sample
from sewd_export.layouts.ort_format import write_ort

FLAGS = "-Wall -Wextra -Wconversion -Werror -fsanitize=address,undefined -fno-sanitize-recover=undefined"


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program; skips without CMake or onnxruntime's header."""
    folders = (HEADERS / "include", Path("/usr/include"))
    if shutil.which("cmake") is None or not any((each / "onnxruntime").is_dir() for each in folders):
        pytest.skip("needs cmake and onnxruntime's header: make build/edge/usr")
    return build_sample(
        tmp_path_factory.mktemp("edge"), "-DCMAKE_BUILD_TYPE=Debug", f"-DCMAKE_CXX_FLAGS={FLAGS}"
    )


@pytest.fixture(scope="session")
def ort(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name of an embedded model → what `sewd-export --ort` writes of it."""
    folder = tmp_path_factory.mktemp("ort")
    return {name: write_ort(bundle, folder / name) for name, bundle in EMBEDDED.items()}
