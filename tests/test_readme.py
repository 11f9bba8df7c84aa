"""Law: every `sh` and `python` block of the README and of docs/*.md runs as written, in order, and prints the
`text` block that follows it directly. Other fences show what is not run.

A server that a block starts in the background gets a port of its own until the page ends. Blocks that
import openai run where `.ci/run` installs it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from sewd_runtime import read_audio
from sewd_runtime.cli import main
from tests.hub.server import Hub, running_hub
from tests.serve.running import RunningServer, running

ROOT = Path(__file__).parents[1]
CHECKPOINT = ROOT / "tests/data/checkpoint-tiny"
CLIPS = ROOT / "export/sewd_export/speech"
MAKE = re.compile(r"make (demo|test)")
INSTALL = re.compile(r"pip install '\.\[(\w+)\]'( +#.*)?")
SERVE = re.compile(r"sewd serve(.*) &")
SERVED = "127.0.0.1:8000"
OPENAI = Path(os.environ.get("OPENAI", ROOT / ".venv-openai")) / "bin/python"
BLOCK = re.compile(
    r"^```(?P<language>sh|python)\n(?P<program>.*?)^```\n(?:```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
FENCE = re.compile(r"^```(\w*)\n.*?^```$", re.MULTILINE | re.DOTALL)


def pages() -> list[str]:
    """Return the pages with blocks to run."""
    every = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [path.relative_to(ROOT).as_posix() for path in every if BLOCK.search(path.read_text("utf-8"))]


def write_call(path: Path) -> None:
    """Write a call: a party on each channel, one after the other."""
    clips = [soundfile.read(CLIPS / name, dtype="float32")[0] for name in ("awb_1.flac", "kal16_3.flac")]
    one, other = (np.zeros(sum(map(len, clips)), np.float32) for _ in clips)
    one[: len(clips[0])], other[len(clips[0]) :] = clips
    soundfile.write(path, np.stack([one, other], axis=1), 16_000)


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """Return a folder with what a reader is assumed to have: a checkpoint, a bundle, recordings, a language
    model."""
    shutil.copytree(CHECKPOINT, tmp_path / "path/to/checkpoint")
    shutil.copytree(ROOT / "tests/data/tiny", tmp_path / "my-bundle")
    shutil.copytree(CLIPS, tmp_path / "recordings")
    for name in ("speech.flac", "lecture.flac"):
        shutil.copy(CLIPS / "awb_1.flac", tmp_path / name)
    samples = soxr.resample(read_audio(CLIPS / "awb_1.flac"), 16_000, 24_000)
    (tmp_path / "speech.pcm").write_bytes((samples * 32767).astype("<i2").tobytes())
    write_call(tmp_path / "call.wav")
    sentences = tmp_path / "sentences.txt"
    sentences.write_text("six six eight five seven\none two three four\n")
    assert main(["lm", "build", str(sentences), "-o", str(tmp_path / "lm.arpa")]) == 0
    return tmp_path


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A local hub in the place of the Hugging Face Hub, with a checkpoint and a bundle."""
    with running_hub() as hub:
        hub.add("asapp/sew-d-tiny-100k-ft-ls100h", CHECKPOINT)
        hub.add("owner/name", ROOT / "tests/data/tiny")
        yield hub


@pytest.mark.parametrize("page", pages())
def test_every_block_runs_in_order(page: str, workplace: Path, hub: Hub) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **hub.environment(workplace / "hub"),
        "XDG_CACHE_HOME": str(workplace / "cache"),
    }
    served: list[RunningServer] = []
    with ExitStack() as stack:
        for block in BLOCK.finditer((ROOT / page).read_text("utf-8")):
            program, output = block["program"], block["output"]
            if "-o my-bundle" in program:  # the reader makes it, and has none before
                shutil.rmtree(workplace / "my-bundle", ignore_errors=True)
            if block["language"] == "sh":
                lines = [
                    line
                    for line in program.splitlines()
                    if not (MAKE.fullmatch(line) or INSTALL.fullmatch(line))  # .ci/run runs these
                ]
                if lines and (start := SERVE.fullmatch(lines[0])):
                    arguments = shlex.split(start[1])
                    served = [stack.enter_context(running(*arguments, log=workplace / "serve.log"))]
                    del lines[0]
                command = ["bash", "-euo", "pipefail", "-c", "\n".join(lines)]
            elif "import OpenAI" in program or "import AsyncOpenAI" in program:
                command = [str(OPENAI), "-c", program] if OPENAI.exists() else ["true"]
            else:
                command = [sys.executable, "-c", program]
            if served:
                command[-1] = command[-1].replace(SERVED, f"127.0.0.1:{served[0].port}")
            done = subprocess.run(
                command, cwd=workplace, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{page}:\n{program}\n{done.stderr}"
            assert output is None or done.stdout == output, f"{page}:\n{program}"


def test_every_fence_has_a_meaning() -> None:
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        assert set(FENCE.findall(path.read_text("utf-8"))) <= {"sh", "python", "text", "js", ""}, path


def test_the_installation_is_run_by_ci() -> None:
    shell = (ROOT / ".ci/run").read_text() + (ROOT / "Makefile").read_text()
    commands = [line.partition(" #")[0] for line in shell.splitlines() if not line.lstrip().startswith("#")]
    made = {target for line in commands for target in re.findall(r"\bmake ([\w-]+)", line)}
    installs = [line for line in commands if re.search(r"pip install|\benvironment\b", line)]
    installed = {
        extra
        for line in installs
        for extras in re.findall(r"\[([\w,]+)\]", line)
        for extra in extras.split(",")
    }
    readme = (ROOT / "README.md").read_text("utf-8").splitlines()
    targets = {match[1] for match in map(MAKE.fullmatch, readme) if match}
    extras = {match[1] for match in map(INSTALL.fullmatch, readme) if match}
    assert targets == {"demo", "test"} and extras
    assert targets <= made
    assert extras <= installed
