"""Other tools in environments of their own: `.ci/run` makes them; where one is absent they are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import soundfile

from sewd_runtime import load
from sewd_runtime.bundle.folder import find_bundle
from tests.environments import answer_of, python_of

ROOT = Path(__file__).parents[2]
CLIPS = sorted((ROOT / "export/sewd_export/speech").glob("*.flac"))
PRECISIONS = ("fp32", "int8")

Ask = Callable[..., Any]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded digits model, in a folder that may be written beside."""
    return Path(shutil.copytree(find_bundle(None).path, tmp_path_factory.mktemp("others") / "digits"))


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Real speech as WAV, mono, 16 bits, 16 kHz."""
    folder, paths = tmp_path_factory.mktemp("wav"), []
    for clip in CLIPS:
        samples, rate_hz = soundfile.read(clip, dtype="int16")
        paths.append(folder / f"{clip.stem}.wav")
        soundfile.write(paths[-1], samples, rate_hz, subtype="PCM_16")
    return paths


@pytest.fixture(scope="session")
def transcripts(bundle: Path, recordings: Sequence[Path]) -> dict[str, list[str]]:
    """Precision → what our own runtime reads in each recording."""
    models = {name: load(bundle, precision=name, threads=1) for name in PRECISIONS}
    return {name: [model.transcribe(path).text for path in recordings] for name, model in models.items()}


@pytest.fixture(scope="session")
def ask() -> Ask:
    """A function that runs a program in another environment and reads the JSON that it prints last.

    It skips where the environment is absent, and where the program prints ``{"skip": reason}``.
    """

    def run(environment: str, program: str, *arguments: object) -> Any:
        found = answer_of(
            [python_of(environment), "-c", program, *arguments],
            HF_HUB_OFFLINE="1",
            OMP_NUM_THREADS="1",
            PYTHONPATH=os.environ.get("OTHERS_PATH", ""),
        )
        if isinstance(found, dict) and "skip" in found:
            pytest.skip(found["skip"])
        return found

    return run
