"""Laws of the sections on times and confidence; nothing is measured here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("jiwer", reason="error rates need jiwer")

from benchmarks.accuracy import confidence, times  # noqa: E402
from benchmarks.accuracy.distortions import with_noise  # noqa: E402
from benchmarks.speech import SPEAKERS, WORDS, Recording, join_strings  # noqa: E402


def recordings() -> list[Recording]:
    """Tones of known length, with quiet of 50 ms on either side."""
    made = []
    for digit in range(10):
        for speaker in SPEAKERS:
            time = np.arange(8_000 * (3 + digit) // 10) / 8_000
            quiet = np.zeros(400, np.float32)
            tone = (0.3 * np.sin(2 * np.pi * 300 * time)).astype(np.float32)
            made.append(
                Recording(
                    name=f"{digit}_{speaker}_0",
                    speaker=speaker,
                    digits=(digit,),
                    split="test",
                    samples=np.concatenate([quiet, tone, quiet]),
                    sample_rate_hz=8_000,
                )
            )
    return made


@pytest.mark.parametrize("pauses_s", [(0.05, 0.25), (0.0, 0.0)])
def test_the_true_times_are_where_the_sound_was_put(pauses_s: tuple[float, float]) -> None:
    for one in join_strings(recordings(), pauses_s, rounds=2):
        sound = np.zeros(len(one.samples), bool)
        for (start, end), (first, last), word in zip(one.sounds, one.spans, one.text.split(), strict=True):
            assert first <= start < end <= last <= len(one.samples)
            assert (end - start) / 16_000 == pytest.approx((3 + WORDS.index(word)) / 10, abs=0.021)
            assert (start - first) / 16_000 == pytest.approx(0.05, abs=0.011)
            sound[start:end] = True
        assert np.abs(one.samples[~sound]).max(initial=0) < 0.02


def test_noise_has_its_level_and_is_nothing_but_added() -> None:
    tone = np.sin(np.arange(48_000)).astype(np.float32)
    for snr_db in (20, 0):
        noise = with_noise(tone, snr_db, np.random.default_rng(0)) - tone
        assert 20 * np.log10(tone.std() / noise.std()) == pytest.approx(snr_db, abs=0.1)


def test_calibration_error_and_area() -> None:
    sure = confidence._summary(np.array([0.95] * 4 + [0.05] * 4), np.array([1.0] * 4 + [0.0] * 4))
    assert (sure["calibration_error"], sure["area"]) == (0.05, 1.0)
    blind = confidence._summary(np.array([0.75] * 4), np.array([1.0, 1.0, 0.0, 0.0]))
    assert (blind["calibration_error"], blind["area"]) == (0.25, 0.5)


@pytest.mark.parametrize("section", [times.SECTION, confidence.SECTION], ids=lambda section: section.name)
def test_the_committed_figures_are_written(section: times.Section) -> None:
    path = ROOT / "benchmarks" / "results" / f"accuracy_{section.name}.json"
    lines = "\n".join(section.lines(json.loads(path.read_text())["figures"])).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) > 10
    widths = {len(list(group)) for group in ([c for c in row if c == "|"] for row in rows)}
    assert len(widths) <= 2
