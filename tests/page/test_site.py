"""Law: the page of `sewd-export --web` gives in Debian's Chromium, without a server, what the commands write.
site.mjs drives the browser."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from sewd_export.layouts.site import write_site
from sewd_runtime import Recognizer, read_audio
from tests.page.conftest import CLIPS, ROOT, check_recordings, expected_of, run_browser
from tests.web.vectors import make_vectors

RATES_HZ = (48_000, 44_100, 22_050)


@pytest.fixture(scope="module")
def digits() -> Recognizer:
    return Recognizer.load(precision="int8", threads=1)


@pytest.fixture(scope="module")
def given(
    tools: dict[str, str], digits: Recognizer, microphone: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What site.mjs is told: the page, recordings, and what is right."""
    folder = tmp_path_factory.mktemp("site")
    packages = Path(tools["packages"])
    site = write_site(digits.network.bundle.path, folder / "site", ort_web=packages / "onnxruntime-web")
    (folder / "vectors.json").write_text(json.dumps(make_vectors(Recognizer.load(threads=1))))
    served = {"vectors.mjs": ROOT / "tests/web/vectors.mjs", "vectors.json": folder / "vectors.json"}
    for rate_hz in RATES_HZ:
        served |= _write_resampled(folder, rate_hz)
    return {
        **tools,
        **expected_of(digits, microphone, folder),
        "site": str(site),
        "served": {name: str(path) for name, path in served.items()},
        "resampled": [f"resampled{rate_hz}" for rate_hz in RATES_HZ],
        "picture": os.environ.get("SITE_PICTURE", str(folder / "site.png")),
    }


def _write_resampled(folder: Path, rate_hz: int) -> dict[str, Path]:
    """Write speech in two channels at a rate, and what soxr makes of their mean at 16 kHz."""
    speech = soxr.resample(read_audio(CLIPS[0]), 16_000, rate_hz)
    stereo = np.stack([speech, 0.5 * speech[::-1]], axis=1).astype(np.float32)
    wav, expected = (folder / f"resampled{rate_hz}{ending}" for ending in (".wav", ".f32"))
    soundfile.write(wav, stereo, rate_hz, subtype="FLOAT")
    expected.write_bytes(soxr.resample(stereo.mean(axis=1), rate_hz, 16_000).astype(np.float32).tobytes())
    return {wav.name: wav, expected.name: expected}


def test_the_site_in_chromium(given: dict[str, Any], digits: Recognizer) -> None:
    run_browser("site.mjs", given, tests=12)
    check_recordings(given, digits, 1)
