"""A real Triton in an environment of its own, as in tests/others: where it is absent, tests are skipped."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.triton.server import Triton, running
from sewd_export.layouts.triton import write_triton
from sewd_runtime import read_audio
from sewd_runtime.bundle.folder import find_bundle
from tests.environments import answer_of, python_of

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).with_name("programs")

Ask = Callable[..., Any]


@pytest.fixture(scope="session")
def environment() -> Path:
    return python_of("TRITON").parents[1]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded digits model, under a name that no other has."""
    return Path(shutil.copytree(find_bundle(None).path, tmp_path_factory.mktemp("triton") / "digits"))


@pytest.fixture(scope="session")
def repository(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As it was written, beside a copy of its speech model with another name and parameters."""
    folder = write_triton(bundle, tmp_path_factory.mktemp("triton") / "repository")
    renamed = Path(shutil.copytree(folder / "digits", folder / "renamed")) / "config.pbtxt"
    config = renamed.read_text().replace('{ string_value: "fp32" }', '{ string_value: "int8" }')
    renamed.write_text(config + 'parameters { key: "threads" value { string_value: "1" } }\n')
    return folder


@pytest.fixture(scope="session")
def triton(environment: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    with running(environment, repository, tmp_path_factory.mktemp("triton")) as server:
        yield server


@pytest.fixture(scope="session")
def ask(environment: Path) -> Ask:
    """A function that runs a program of the environment and reads the JSON that it prints last."""

    def run(program: str, *arguments: object) -> Any:
        return answer_of([environment / "bin/python", PROGRAMS / f"{program}.py", *arguments])

    return run


@pytest.fixture(scope="session")
def recordings() -> list[NDArray[np.float32]]:
    """Real speech of different lengths."""
    paths = sorted((ROOT / "export/sewd_export/speech").glob("*.flac"))[:4]
    return [read_audio(path) for path in paths]
