"""Law: the page at / gives in Debian's Chromium what the commands write. page.mjs drives the browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from sewd_runtime import Recognizer, as_srt, as_vtt, read_audio
from sewd_runtime.text.formats import as_text
from tests.serve.running import running

ROOT = Path(__file__).parents[2]
CLIPS = sorted((ROOT / "export/sewd_export/speech").glob("*.flac"))
TINY = ROOT / "tests/data/tiny"
KEY = "key-of-the-test"
MICROPHONE_HZ = 48_000
TESTS = 11


@pytest.fixture(scope="module")
def tools() -> dict[str, str]:
    """Where the browser and the packages that drive it are; skips without them."""
    chromium = shutil.which("chromium")
    packages = ROOT / "web/node_modules"
    if shutil.which("node") is None or chromium is None or not (packages / "playwright-core").is_dir():
        pytest.skip(f"needs node, chromium, and playwright-core and axe-core in {packages}")
    return {"chromium": chromium, "packages": str(packages)}


@pytest.fixture(scope="module")
def digits() -> Recognizer:
    return Recognizer.load(threads=1)


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two spoken numbers, with silence around them, as the microphone hears them."""
    quiet = np.zeros(16_000, np.float32)
    samples = np.concatenate([quiet, read_audio(CLIPS[0]), quiet, read_audio(CLIPS[4]), quiet])
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    soundfile.write(path, soxr.resample(samples, 16_000, MICROPHONE_HZ), MICROPHONE_HZ, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def given(
    tools: dict[str, str], digits: Recognizer, microphone: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """What page.mjs is told: servers, recordings, and what is right."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "keys").write_text(KEY)
    (folder / "recordings").mkdir()
    (folder / "notes.wav").write_text("no recording")
    transcripts = {clip: digits.transcribe(clip) for clip in CLIPS}
    clips = [
        {"path": str(clip), "name": clip.stem, "txt": as_text(each), "srt": as_srt(each), "vtt": as_vtt(each)}
        for clip, each in transcripts.items()
    ]
    with (
        running(log=folder / "log") as server,
        running(
            "--api-key-file", str(folder / "keys"), f"first={TINY}", f"second={TINY}", log=folder / "locked"
        ) as locked,
    ):
        text = Recognizer.load(TINY, threads=1).transcribe(CLIPS[0]).text
        yield {
            **tools,
            "url": server.url,
            "clips": clips,
            "notAudio": str(folder / "notes.wav"),
            "microphone": str(microphone),
            "microphoneSeconds": soundfile.info(microphone).duration,
            "microphoneWords": len(stream_text(digits, microphone).split()),
            "recordings": str(folder / "recordings"),
            "picture": os.environ.get("PAGE_PICTURE", str(folder / "page.png")),
            "locked": {
                "url": locked.url,
                "key": KEY,
                "models": ["first", "second"],
                "texts": {"first": text, "second": text},
            },
        }


def stream_text(model: Recognizer, path: Path) -> str:
    """What a stream hears in a WAV file."""
    samples, rate_hz = soundfile.read(path, dtype="int16")
    stream = model.stream(sample_rate_hz=rate_hz)
    words = [*stream.feed(samples).committed, *stream.finish().committed]
    return " ".join(word.text for word in words)


def test_the_page_in_chromium(given: dict[str, Any], digits: Recognizer) -> None:
    script = Path(__file__).with_name("page.mjs")
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", script],
        env={**os.environ, "PAGE_TEST": json.dumps(given)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"# pass {TESTS}\n" in done.stdout, done.stdout
    # What the page recorded is what the server heard: a stream of the same samples has the same words.
    recordings = sorted(Path(given["recordings"]).glob("*.wav"))
    assert len(recordings) == 3
    for path in recordings:
        assert stream_text(digits, path) == path.with_suffix(".txt").read_text()
