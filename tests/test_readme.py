"""Law: every command and every program of the README runs as written, and prints what the README says it
prints."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHECKPOINT = ROOT / "tests/data/checkpoint-tiny"
CLIPS = ROOT / "export/sewd_export/speech"
ELSEWHERE = re.compile(
    r"^(make (demo|test)|pip install '\.\[(cpu|openvino|lm|mic|export)\]'( +#.*)?)$"
)  # .ci/run runs these
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str, str | None]]:
    """Return (language, program, the output that follows it or None) of every fenced block."""
    found = BLOCK.findall((ROOT / "README.md").read_text())
    following = [*found[1:], ("", "")]
    return [
        (language, program, after if kind == "text" else None)
        for (language, program), (kind, after) in zip(found, following, strict=True)
        if language != "text"
    ]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what a reader is taken to have: a checkpoint, a recording, and a hub cache in
    place of a network."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(CHECKPOINT, folder / "path/to/checkpoint")
    shutil.copytree(ROOT / "tests/data/tiny", folder / "my-bundle")
    shutil.copytree(CLIPS, folder / "recordings")
    for name in ("speech.flac", "lecture.flac"):
        shutil.copy(CLIPS / "awb_1.flac", folder / name)
    repository = folder / "hub/hub/models--asapp--sew-d-tiny-100k-ft-ls100h"
    shutil.copytree(CHECKPOINT, repository / "snapshots/0123456789abcdef")
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("0123456789abcdef")
    return folder


def test_every_block_runs_in_order(workplace: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HF_HOME": str(workplace / "hub"),
        "HF_HUB_OFFLINE": "1",
    }
    for language, program, expected in blocks():
        if language == "sh":
            lines = [line for line in program.splitlines() if not ELSEWHERE.match(line)]
            command = ["bash", "-euo", "pipefail", "-c", "\n".join(lines)]
        else:
            assert language == "python", f"nothing runs a block in {language}"
            command = [sys.executable, "-c", program]
        done = subprocess.run(
            command, cwd=workplace, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{program}\n{done.stderr}"
        assert expected is None or done.stdout == expected, program


def test_commands_run_elsewhere_are_run_there() -> None:
    ci = (ROOT / ".ci/run").read_text()
    for command in ("make demo", "make test", "[cpu]", "[openvino]", "[lm]", "[mic]", "[export]"):
        assert command in ci
