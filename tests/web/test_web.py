"""Laws of sewd-web: in Node.js it computes what Python computes. node.mjs and vectors.mjs compare."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sewd_runtime import Recognizer, read_audio
from sewd_runtime.text.scripts import columns, is_unspaced
from tests.web.vectors import CLIPS, as_json, long_recording, make_vectors

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
BLOCK = 1_600
TESTS = {"node.mjs": 6, "memory.mjs": 2}


@pytest.fixture(scope="module")
def packages() -> Path:
    """The folder of the npm packages; skips without them."""
    folder = WEB / "node_modules"
    if shutil.which("npm") is None or not (folder / "onnxruntime-node").is_dir():
        pytest.skip(f"no npm, or no onnxruntime-node in {folder}; run npm install in {WEB}")
    return folder


@pytest.fixture(scope="module")
def models() -> dict[str, Recognizer]:
    return {name: Recognizer.load(precision=name, threads=1) for name in ("fp32", "int8")}


@pytest.fixture(scope="module")
def given(
    packages: Path, models: dict[str, Recognizer], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What node.mjs is told: vectors, recordings, and what is right."""
    folder = tmp_path_factory.mktemp("web")
    digits = models["fp32"]
    clips = [read_audio(path) for path in CLIPS]
    recordings = []
    for clip in CLIPS:
        path = folder / f"{clip.stem}.wav"
        samples, rate_hz = soundfile.read(clip, dtype="int16")
        soundfile.write(path, samples, rate_hz, subtype="PCM_16")
        transcripts = {name: as_json(model.transcribe(path)) for name, model in models.items()}
        recordings.append({"path": str(path), "transcripts": transcripts})
    long = long_recording(clips, np.random.default_rng(1))
    talk = np.concatenate([clips[0], np.zeros(12_000, np.float32), clips[4]])
    for name, array in {"long": long, "talk": talk}.items():
        (folder / name).write_bytes(array.tobytes())
    return {
        "web": str(WEB),
        "packages": str(packages),
        "bundle": str(digits.network.bundle.path),
        "tiny": str(ROOT / "tests/data/tiny"),
        "vectors": make_vectors(digits),
        "recordings": recordings,
        "long": {"path": str(folder / "long"), "transcript": as_json(digits.transcribe(iter([long])))},
        "stream": {"path": str(folder / "talk"), **_streamed(digits, talk)},
    }


def _streamed(digits: Recognizer, talk: Any) -> dict[str, Any]:
    stream = digits.stream()
    blocks = [talk[begin : begin + BLOCK] for begin in range(0, len(talk), BLOCK)]
    partials = [*map(stream.feed, blocks), stream.finish()]
    return {
        "committed": [dataclasses.asdict(word) for each in partials for word in each.committed],
        "pending": [[word.text for word in each.pending] for each in partials],
        "turns": [dataclasses.asdict(turn) for each in partials for turn in each.turns],
    }


@pytest.mark.parametrize("script", TESTS)
def test_in_node(given: dict[str, Any], tmp_path: Path, script: str) -> None:
    (tmp_path / "given.json").write_text(json.dumps(given))
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", Path(__file__).with_name(script)],
        env={**os.environ, "WEB_TEST": str(tmp_path / "given.json")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"# pass {TESTS[script]}\n" in done.stdout, done.stdout


def test_its_package_transcribes_from_the_command_line(
    packages: Path, given: dict[str, Any], tmp_path: Path
) -> None:
    """As npm installs it: types are made from the sources, which are checked on the way."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", "--pack-destination", tmp_path, WEB], capture_output=True, text=True
    )
    assert packed.returncode == 0, packed.stdout + packed.stderr
    tarball = tmp_path / packed.stdout.split()[-1]
    subprocess.run(["npm", "install", "--silent", "--offline", tarball], cwd=tmp_path, check=True)
    modules = tmp_path / "node_modules"
    for name in ("onnxruntime-node", "onnxruntime-common", "onnxruntime-web", "typescript"):
        (modules / name).symlink_to(packages / name)
    command = [modules / ".bin/sewd-web", given["bundle"]]
    for recording in given["recordings"][:2]:
        done = subprocess.run([*command, recording["path"]], capture_output=True, text=True)
        assert (done.stdout, done.stderr) == (recording["transcripts"]["int8"]["text"] + "\n", "")
    done = subprocess.run([*command, CLIPS[0]], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "sewd-web: the recording must be WAV\n")
    # Programs of users, as TypeScript reads them.
    shutil.copy(Path(__file__).with_name("client.mts"), tmp_path)
    blocks = re.findall(r"^```js\n(.*?)^```", (ROOT / "docs/web.md").read_text("utf-8"), re.M | re.S)
    given_names = "declare const file: Blob, samples: Float32Array;\n"
    (tmp_path / "docs.mts").write_text(given_names + "".join(blocks), encoding="utf-8")
    compiler = modules / "typescript/bin/tsc"
    options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--types", ""]
    checked = subprocess.run(
        ["node", compiler, *options, tmp_path / "client.mts", tmp_path / "docs.mts"],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


def test_its_tables_of_scripts_are_those_of_python() -> None:
    text = (WEB / "src/scripts.js").read_text("utf-8")
    unspaced, wide = (
        _code_points(text.partition(f"export const {name} =")[2]) for name in ("UNSPACED", "WIDE")
    )
    for code in range(0x110000):
        letter = chr(code)
        if unicodedata.category(letter) not in ("Cn", "Cs"):
            assert (code in unspaced, code in wide) == (is_unspaced(letter), columns(letter) == 2), hex(code)


def _code_points(text: str) -> set[int]:
    ranges = re.findall(r"([0-9a-f]+)-([0-9a-f]+)", text.partition(";")[0])
    return {code for first, last in ranges for code in range(int(first, 16), int(last, 16) + 1)}
