"""A browser, a microphone that plays speech, and what is right."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from sewd_runtime import Recognizer, as_srt, as_vtt, read_audio
from sewd_runtime.text.formats import as_text

ROOT = Path(__file__).parents[2]
CLIPS = sorted((ROOT / "export/sewd_export/speech").glob("*.flac"))
MICROPHONE_HZ = 48_000


@pytest.fixture(scope="session")
def tools() -> dict[str, str]:
    """Where the browser and the packages that drive it are; skips without them."""
    chromium = shutil.which("chromium")
    packages = ROOT / "web/node_modules"
    if shutil.which("node") is None or chromium is None or not (packages / "playwright-core").is_dir():
        pytest.skip(f"needs node, chromium, and playwright-core and axe-core in {packages}")
    return {"chromium": chromium, "packages": str(packages)}


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two spoken numbers, with silence around them, as the microphone hears them."""
    quiet = np.zeros(16_000, np.float32)
    samples = np.concatenate([quiet, read_audio(CLIPS[0]), quiet, read_audio(CLIPS[4]), quiet])
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    soundfile.write(path, soxr.resample(samples, 16_000, MICROPHONE_HZ), MICROPHONE_HZ, subtype="PCM_16")
    return path


def expected_of(recognizer: Recognizer, microphone: Path, folder: Path) -> dict[str, Any]:
    """Return what is right on either page, and where the browser leaves what it records."""
    (folder / "notes.wav").write_text("no recording")
    (folder / "recordings").mkdir()
    clips = []
    for clip in CLIPS:
        each = recognizer.transcribe(clip)
        words = [
            text for word in each.words for text in (f"{word.start_s:.2f}", f"{word.end_s:.2f}", word.text)
        ]
        files = {"txt": as_text(each), "srt": as_srt(each), "vtt": as_vtt(each)}
        clips.append({"path": str(clip), "name": clip.stem, "words": words, **files})
    return {
        "clips": clips,
        "notAudio": str(folder / "notes.wav"),
        "microphone": str(microphone),
        "microphoneSeconds": soundfile.info(microphone).duration,
        "microphoneText": stream_text(recognizer, microphone),
        "recordings": str(folder / "recordings"),
    }


def stream_text(model: Recognizer, path: Path) -> str:
    """What a stream hears in a WAV file."""
    samples, rate_hz = soundfile.read(path, dtype="int16")
    stream = model.stream(sample_rate_hz=rate_hz)
    words = [*stream.feed(samples).committed, *stream.finish().committed]
    return " ".join(word.text for word in words)


def run_browser(script: str, given: dict[str, Any], *, tests: int) -> None:
    """Run a script of this folder, which must pass so many tests."""
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", Path(__file__).with_name(script)],
        env={**os.environ, "PAGE_TEST": json.dumps(given)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"# pass {tests}\n" in done.stdout, done.stdout


def check_recordings(given: dict[str, Any], recognizer: Recognizer, count: int) -> None:
    """What the page recorded is what was heard: a stream of the same samples has the same words."""
    recordings = sorted(Path(given["recordings"]).glob("*.wav"))
    assert len(recordings) == count
    for path in recordings:
        assert stream_text(recognizer, path) == path.with_suffix(".txt").read_text()
