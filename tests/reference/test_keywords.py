"""Laws of the data that train the embedded keyword spotter, and of its training."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

pytest.importorskip("scipy", reason="the recipe needs scipy")

from benchmarks import speech
from benchmarks.reference import augmentation, keywords, train_keywords
from benchmarks.reference.keywords import LABELS, NOISE, SILENCE, UNKNOWN, Clip, KeywordBatches

SPEECH = Path(os.environ.get("SEWD_SPEECH", Path(__file__).parents[3] / "shared" / "speech"))
QUIET = augmentation.Surroundings(
    noises=(np.random.default_rng(1).normal(size=40_000).astype(np.float32),), responses=()
)


def tone(frequency_hz: float) -> augmentation.Samples:
    time_s = np.arange(16_000) / 16_000
    loud = (time_s > 0.3) & (time_s < 0.7)
    return (0.3 * loud * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def made_up() -> list[Clip]:
    """Tones, higher ones for the speakers held out."""
    return [
        Clip(
            samples=tone((300 if speech.split_of(speaker) == "train" else 3000) + 20 * label),
            word=LABELS[label],
            label=label,
            speaker=speaker,
        )
        for label in range(UNKNOWN + 1)
        for speaker in range(12)
    ]


def batches(seed: int = 0, rows: int = 32) -> KeywordBatches:
    return KeywordBatches(made_up(), [], QUIET, seed=seed, rows=rows, strength=0.0)


def test_a_step_is_determined_by_seed_and_step() -> None:
    first, again, other = batches()[3], batches()[3], batches(seed=1)[3]
    assert torch.equal(first["inputs"], again["inputs"])
    assert torch.equal(first["classes"], again["classes"])
    assert not torch.equal(first["inputs"], other["inputs"])


def test_silence_is_faint_and_noise_is_not() -> None:
    batch = batches(rows=300)[0]
    levels_db = 20 * torch.log10(batch["inputs"].std(1) + 1e-9)
    classes = batch["classes"]
    assert {*classes.tolist()} == {*range(len(LABELS))}
    assert levels_db[classes == SILENCE].max() < -57
    assert levels_db[classes == NOISE].min() > -47
    assert levels_db[classes <= UNKNOWN].min() > -41


def test_speakers_held_out_are_never_taught() -> None:
    batch = batches(rows=200)[1]
    for samples in batch["inputs"][batch["classes"] < UNKNOWN]:
        spectrum = torch.fft.rfft(samples).abs()
        assert spectrum[:1500].sum() > spectrum[2500:].sum()


def test_every_speaker_has_one_split() -> None:
    splits = [speech.split_of(speaker) for speaker in range(240)]
    assert [splits.count(name) for name in ("test", "dev", "train")] == [40, 20, 180]


@pytest.mark.skipif(not (SPEECH / "noise").is_dir(), reason=f"no noise under {SPEECH}: set SEWD_SPEECH")
def test_noises_of_the_report_are_never_taught() -> None:
    folder = SPEECH / "noise"
    every, taught = (
        augmentation.Surroundings.read(folder, without=without) for without in ((), keywords.TEST_NOISES)
    )
    assert len(every.noises) - len(taught.noises) == len(keywords.TEST_NOISES)


def test_sentences_with_a_command_are_left_out(tmp_path: Path) -> None:
    rows = {"1-a": "GO ON THEN", "1-b": "A GOAT"}
    for folder in keywords.SENTENCE_FOLDERS:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "transcripts.tsv").write_text(
            "".join(f"{name}\t{text}\n" for name, text in rows.items())
        )
        for name in rows:
            soundfile.write(tmp_path / folder / f"{name}.wav", np.zeros(1600), 16_000)
    assert [one.name for one in keywords.read_sentences(tmp_path)] == ["1-b", "1-b"]


def test_steps_lower_the_loss_and_a_resumed_run_is_the_same(tmp_path: Path) -> None:
    training = train_keywords.KeywordTraining(train_keywords.EMBEDDED, seed=0)
    windows = train_keywords.make_windows(training, batches(rows=4), 2, tmp_path / "windows")
    again = train_keywords.make_windows(training, batches(rows=4), 2, tmp_path / "windows")
    assert torch.equal(windows.inputs, again.inputs)
    batch = {"inputs": windows.inputs, "classes": windows.classes}
    losses = [training.update(batch, 5e-4, 0.0)["label"] for _ in range(5)]
    assert losses[-1] < losses[0]
    training.save(tmp_path / "training.pt")
    onward = training.update(batch, 5e-4, 0.0)
    training.resume(tmp_path / "training.pt")
    assert training.update(batch, 5e-4, 0.0) == onward
    assert 0 <= training.accuracy(windows.inputs, windows.classes) <= 1
    assert any(name.startswith("sew_d.feature_extractor") for name in training.averaged_weights())
