"""Law: examples/transcribe.mjs reads in onnxruntime-node what our runtime reads."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples/transcribe.mjs"


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, beside the packages that it imports."""
    packages = Path(os.environ.get("NODE_PACKAGES", ROOT / ".node")) / "node_modules"
    if shutil.which("node") is None or not (packages / "onnxruntime-node").is_dir():
        pytest.skip(f"no node, or no onnxruntime-node in {packages}; NODE_PACKAGES names another folder")
    folder = tmp_path_factory.mktemp("node")
    (folder / "node_modules").symlink_to(packages.resolve())
    return Path(shutil.copy(SCRIPT, folder))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_it_reads_the_same(
    script: Path,
    bundle: Path,
    recordings: Sequence[Path],
    transcripts: dict[str, list[str]],
    precision: str,
) -> None:
    for path, text in list(zip(recordings, transcripts[precision], strict=True))[:3]:
        done = subprocess.run(["node", script, bundle, path, precision], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{text}\n"


def test_another_rate_is_refused(script: Path, bundle: Path, tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    soundfile.write(tmp_path / "slow.wav", np.zeros(800), 8_000, subtype="PCM_16")
    done = subprocess.run(["node", script, bundle, tmp_path / "slow.wav"], capture_output=True, text=True)
    assert done.returncode != 0
    assert "must be mono, 16 bits, 16000 Hz" in done.stderr


def test_the_example_is_short() -> None:
    assert len(SCRIPT.read_text().splitlines()) <= 30
