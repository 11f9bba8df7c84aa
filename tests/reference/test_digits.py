"""Laws of the data that train the embedded model; skipped where the shared recordings are absent."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("scipy", reason="the recipe needs scipy")

from benchmarks import speech  # noqa: E402
from benchmarks.reference import augmentation, digits, layout  # noqa: E402

SPEECH = Path(os.environ.get("SEWD_SPEECH", ROOT.parent / "shared" / "speech"))
STEPS = range(12)
needs_speech = pytest.mark.skipif(
    not (SPEECH / "digits_fsdd").is_dir(), reason=f"no digits_fsdd under {SPEECH}: set SEWD_SPEECH"
)


@pytest.fixture(scope="module")
def recordings() -> list[speech.Recording]:
    return speech.read_fsdd(SPEECH)


@pytest.fixture(scope="module")
def surroundings() -> augmentation.Surroundings:
    return augmentation.Surroundings.read(SPEECH / "noise")


@pytest.fixture(scope="module")
def synthetic() -> list[speech.Recording]:
    return speech.read_kokoro(SPEECH)[:60]


def tone(length_s: float, sample_rate_hz: int = 8000, seed: int = 0) -> augmentation.Samples:
    time_s = np.arange(int(length_s * sample_rate_hz)) / sample_rate_hz
    noise = np.random.default_rng(seed).normal(0, 0.01, len(time_s))
    return (0.3 * np.sin(2 * np.pi * 300 * time_s) + noise).astype(np.float32)


def made_up(split: str = "train") -> list[speech.Recording]:
    return [
        speech.Recording(
            name=f"{digit}_{speaker}_9",
            speaker=speaker,
            digits=(digit,),
            split=split,
            samples=tone(0.3 + 0.02 * digit, seed=digit),
            sample_rate_hz=8000,
        )
        for digit in range(10)
        for speaker in speech.SPEAKERS
    ]


QUIET = augmentation.Surroundings(
    noises=(np.random.default_rng(1).normal(size=4000).astype(np.float32),), responses=()
)


def test_letters_are_the_published_vocabulary() -> None:
    assert len(layout.LETTERS) == len(set(layout.LETTERS)) == 32
    assert layout.LETTERS[:6] == ("<pad>", "<s>", "</s>", "<unk>", "|", "E")
    assert layout.LETTERS[-1] == "Z"
    spelled = "".join(layout.LETTERS[token_id] for token_id in layout.spell(["SEVEN", "ZERO"]))
    assert spelled == "SEVEN|ZERO"
    assert layout.spell([]) == []


def test_a_step_is_determined_by_seed_and_step() -> None:
    first, second = (digits.DigitBatches(made_up(), QUIET, seed=3) for _ in range(2))
    for step in STEPS:
        first[step]
    one, other = first[5], second[5]
    np.testing.assert_array_equal(one.samples, other.samples)
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.targets == other.targets
    assert one.samples.shape != first[6].samples.shape


def test_seeds_differ() -> None:
    one, other = (digits.DigitBatches(made_up(), QUIET, seed=seed)[0] for seed in (0, 1))
    assert one.samples.shape != other.samples.shape


def test_rows_are_normalised_finite_and_as_long_as_their_labels() -> None:
    batches = digits.DigitBatches(made_up(), QUIET, seed=11)
    for step in STEPS:
        batch = batches[step]
        assert np.isfinite(batch.samples).all()
        assert batch.samples.dtype == np.float32
        assert len(batch.targets) == len(batch.samples) == len(batch.labels)
        assert batch.labels.shape[1] == layout.count_frames(batch.samples.shape[1])
        np.testing.assert_allclose(batch.samples.mean(axis=1), 0, atol=1e-3)
        assert batch.samples.std(axis=1).max() < 1.001


@pytest.mark.parametrize("num_samples", [399, 400, 719, 720, 16_000, 16_079, 16_080])
def test_frames_follow_the_convolutions(num_samples: int) -> None:
    frames = num_samples
    for kernel, stride in zip(
        (10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1), (5, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1), strict=True
    ):
        frames = (frames - kernel) // stride + 1
    assert layout.count_frames(num_samples) == max(0, frames)


def test_every_spoken_digit_is_labelled() -> None:
    batches = digits.DigitBatches(made_up(), QUIET, seed=5)
    spelled = {tuple(layout.spell([speech.WORDS[digit]])): digit for digit in range(10)}
    delimiter = layout.LETTERS.index("|")
    for step in STEPS:
        batch = batches[step]
        for labels, target in zip(batch.labels, batch.targets, strict=True):
            spoken: list[int] = []
            word: list[int] = []
            for token_id in [*target, delimiter]:
                if token_id == delimiter:
                    spoken += [spelled[tuple(word)]] if word else []
                    word = []
                else:
                    word.append(token_id)
            assert set(spoken) | {digits.SILENCE} == set(labels.tolist()) | {digits.SILENCE}


def test_active_span_is_where_the_energy_is() -> None:
    samples = np.zeros(16_000, np.float32)
    samples[4_000:9_000] = tone(5_000 / 16_000, 16_000)
    first, last = speech.active_span(samples)
    assert abs(first - 4_000) <= 160
    assert abs(last - 9_000) <= 160


@pytest.mark.parametrize("seed", range(6))
def test_augmentation_keeps_shape_and_stays_finite(seed: int) -> None:
    rng = np.random.default_rng(seed)
    batch = rng.normal(0, 0.1, (3, int(rng.integers(500, 40_000)))).astype(np.float32)
    batch[2] = 0
    echo = np.exp(-np.arange(3_000) / 400).astype(np.float32)
    changed = augmentation.augment(
        batch, augmentation.Surroundings(noises=QUIET.noises, responses=(echo,)), rng
    )
    assert changed.shape == batch.shape
    assert np.isfinite(changed).all()
    assert np.abs(changed).max() < 1_000
    assert np.abs(augmentation.normalise(changed)).max() < np.sqrt(batch.shape[1])


@pytest.mark.parametrize("length", [1, 57, 2_000, 8_001])
@pytest.mark.parametrize("factor", [0.82, 1.0, 1.22])
def test_formant_warp_keeps_length_and_one_is_identity(length: int, factor: float) -> None:
    samples = tone(1.1)[:length]
    warped = augmentation.warp_formants(samples, 8_000, factor)
    assert warped.shape == samples.shape
    assert np.isfinite(warped).all()
    if factor == 1.0:
        np.testing.assert_allclose(warped, samples, atol=2e-3)


def test_only_the_training_split_is_composed() -> None:
    assert digits.DigitBatches(made_up("train"), QUIET, seed=0)[0].targets
    for split in ("dev", "test"):
        with pytest.raises(ValueError, match="training"):
            digits.DigitBatches(made_up(split), QUIET, seed=0)


@needs_speech
def test_splits_follow_the_index(recordings: list[speech.Recording]) -> None:
    assert len(recordings) == 2000
    for recording in recordings:
        index = int(recording.name.rsplit("_", 1)[1])
        assert (recording.split == "test") == (index < 5)
        assert (recording.split == "dev") == (index == 5)
    assert {recording.speaker for recording in recordings} == set(speech.SPEAKERS)


@needs_speech
def test_real_batches(
    recordings: list[speech.Recording],
    synthetic: list[speech.Recording],
    surroundings: augmentation.Surroundings,
) -> None:
    batches = digits.DigitBatches([*recordings, *synthetic], surroundings, seed=2)
    for step in STEPS:
        batch = batches[step]
        assert np.isfinite(batch.samples).all()
        assert {*np.unique(batch.labels)} <= {digits.IGNORED, *range(11)}
        assert any(batch.targets)


@needs_speech
def test_joined_strings_keep_every_sample(recordings: list[speech.Recording]) -> None:
    chosen = recordings[:4]
    pause = speech.silence(np.random.default_rng(0), speech.GAP_S)
    joined = speech.join(speech.singles(chosen), pause)
    spoken_s = sum(recording.duration_s for recording in chosen)
    assert (
        spoken_s + 5 * 0.05 <= len(joined.samples) / augmentation.SAMPLE_RATE_HZ <= spoken_s + 5 * 0.25 + 0.01
    )
    assert joined.text.split() == [speech.WORDS[recording.digits[0]] for recording in chosen]
