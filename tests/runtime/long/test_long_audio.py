"""Laws of long recordings, on real speech and the embedded model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sewd_runtime import Recognizer, read_audio
from sewd_runtime.inference.network import Network
from sewd_runtime.inference.session import Session
from sewd_runtime.long import steps
from sewd_runtime.long.segmentation import SEGMENTATION, Segmentation

RATE_HZ = 16_000
EDGE = RATE_HZ // 2


@pytest.fixture(scope="module")
def digits() -> Recognizer:
    return Recognizer.load(threads=1)


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    folder = Path(__file__).parents[3] / "export/sewd_export/speech"
    return [read_audio(path) for path in sorted(folder.glob("*.flac"))]


def talk(clips: list[np.ndarray], silence_s: float, noise_db: float, *, seed: int = 0) -> np.ndarray:
    """The clips with silences between them; the noise on a clip and near it is always the same."""
    rng, parts = np.random.default_rng(seed), []
    for clip in clips:
        near = rng.standard_normal(len(clip) + 2 * EDGE)
        near[EDGE:-EDGE] += clip / 10 ** (noise_db / 20)
        far = np.random.default_rng(len(parts)).standard_normal(round(silence_s * RATE_HZ))
        parts += [near, far]
    return (10 ** (noise_db / 20) * np.concatenate(parts)).astype(np.float32)


@pytest.mark.parametrize("noise_db", [-90, -70, -60])
@pytest.mark.parametrize("length_s", [1.0, 5.0, 40.0])
def test_silence_between_utterances_changes_no_word(
    digits: Recognizer, clips: list[np.ndarray], noise_db: float, length_s: float
) -> None:
    how = Segmentation(whole_s=0)
    short = digits.transcribe(talk(clips, 0.0, noise_db), segmentation=how)
    longer = digits.transcribe(talk(clips, length_s, noise_db), segmentation=how)
    assert len(short.segments) >= len(clips)
    assert [segment.text for segment in longer.segments] == [segment.text for segment in short.segments]


def test_one_window_is_the_recording_run_whole(digits: Recognizer, clips: list[np.ndarray]) -> None:
    for clip in clips:
        one_window = Segmentation(whole_s=0, pause_s=None, chunk_s=len(clip) / RATE_HZ + 10)
        assert digits.transcribe(clip, segmentation=one_window) == digits.transcribe(clip)


def test_windows_run_together_say_what_they_say_one_by_one(
    digits: Recognizer, clips: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = talk([*clips, *clips], 0.5, -70)
    for how in (SEGMENTATION, Segmentation(pause_s=None, chunk_s=2.0, context_s=0.4)):
        together = digits.transcribe(recording, segmentation=how)
        with monkeypatch.context() as patch:
            patch.setattr(steps, "_GROUP_SAMPLES", 1)
            alone = digits.transcribe(recording, segmentation=how)
        assert [word.text for word in together.words] == [word.text for word in alone.words]
        for one, other in zip(together.words, alone.words, strict=True):
            assert (one.start_s, one.end_s) == (other.start_s, other.end_s)
            assert one.confidence == pytest.approx(other.confidence, rel=1e-4)


def test_segments_come_before_the_end_is_read(
    digits: Recognizer, clips: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = talk(clips * 12, 1.0, -70)
    assert len(recording) > 2 * RATE_HZ * SEGMENTATION.whole_s
    segments = digits.segments(recording)
    monkeypatch.setattr(steps, "_GROUP_SAMPLES", 200_000)
    first = next(segments)
    runs = []
    run = Network.run_batches
    monkeypatch.setattr(Network, "run_batches", lambda *given: runs.append(1) or run(*given))
    rest = list(segments)
    assert len(runs) > 2
    assert (first, *rest) == digits.transcribe(recording).segments


def test_no_step_runs_more_than_one_batch(
    digits: Recognizer, clips: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    run = Session.run
    monkeypatch.setattr(Session, "run", lambda *given: runs.append(1) or run(*given))
    counts = [len(runs) for _ in digits.steps(talk(clips * 12, 1.0, -70))]
    assert counts[-1] > 5
    assert max(np.diff([0, *counts])) == 1


def test_vad_drops_no_word_of_real_recordings(digits: Recognizer, speech: Path) -> None:
    how = Segmentation(whole_s=0)
    missing = []
    for path in sorted((speech / "digits_fsdd").glob("*_[01].wav")):
        whole, reduced = digits.transcribe(path), digits.transcribe(path, segmentation=how)
        if len(reduced.words) < len(whole.words):
            missing.append(path.name)
    assert missing == []
