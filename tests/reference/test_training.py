"""Laws of a training run, and of the recordings that are read for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

pytest.importorskip("scipy", reason="the recipe needs scipy")

from benchmarks.reference import train_digits
from benchmarks.reference.checkpoint import DIGITS
from benchmarks.reference.training import (
    IGNORED,
    Batch,
    Training,
    encode,
    frame_loss,
    join_targets,
    mask_features,
)
from benchmarks.reference.utterances import Utterance, keep, read_utterances


def make_batch(seed: int = 0) -> Batch:
    """Two rows of noise and two words."""
    rng = np.random.default_rng(seed)
    return {
        "samples": torch.from_numpy(rng.normal(size=(2, 400 + 320 * 49)).astype(np.float32)),
        "labels": torch.from_numpy(rng.integers(0, 11, (2, 50))),
        **join_targets([[5, 6], [7, 8, 9]]),
    }


@pytest.fixture
def training() -> Training:
    return Training(
        dict(DIGITS) | {"num_hidden_layers": 2, "intermediate_size": 64},
        {"digits": 11},
        train_digits.frame_losses,
        seed=0,
        encode=encode,
    )


def test_steps_lower_every_loss(training: Training) -> None:
    found = [training.update(make_batch(), 1e-3, 1.0) for _ in range(6)]
    assert set(found[0]) == {"ctc", "frames"}
    assert all(found[-1][name] < found[0][name] for name in found[0])


def test_a_resumed_run_is_the_same_run(training: Training, tmp_path: Path) -> None:
    training.update(make_batch(), 1e-3, 1.0)
    training.save(tmp_path / "training.pt")
    onward = training.update(make_batch(1), 1e-3, 1.0)
    training.resume(tmp_path / "training.pt")
    assert training.step == 1
    assert training.update(make_batch(1), 1e-3, 1.0) == onward


def test_encoding_differs_from_the_model_by_bfloat16_alone(training: Training) -> None:
    model, batch = training.model.eval(), make_batch()
    with torch.inference_mode():
        encoded, expected = encode(model, batch), model.sew_d(batch["samples"]).last_hidden_state
    assert encoded.shape == expected.shape
    assert (encoded - expected).norm() < 0.02 * expected.norm()


def test_frames_without_a_label_have_no_loss() -> None:
    logits, labels = torch.randn(2, 6, 11), torch.full((2, 6), IGNORED)
    assert frame_loss(logits, labels) == 0
    labels[0, :3] = 1
    expected = torch.nn.functional.cross_entropy(logits[0, :3], labels[0, :3])
    torch.testing.assert_close(frame_loss(logits, labels), expected)


@pytest.mark.parametrize("shape", [(3, 1, 7), (2, 401, 256), (5, 90, 33)])
def test_masks_take_their_share_in_spans(shape: tuple[int, int, int]) -> None:
    """What is not masked is untouched, and the share is about right over many drawings."""
    torch.manual_seed(0)
    features = torch.rand(shape) + 1
    shares = []
    for _ in range(40):
        masked = mask_features(features, 0.1)
        is_kept = masked != 0
        assert torch.equal(masked[is_kept], features[is_kept])
        frames, channels = is_kept.any(2), is_kept.any(1)
        assert torch.equal(is_kept, frames[:, :, None] & channels[:, None, :])
        shares.append(1 - float(frames.float().mean()))
    if shape[1] >= 90:
        assert 0.05 < np.mean(shares) < 0.15


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 32_000])
def test_recordings_are_read_at_16_khz(tmp_path: Path, rate_hz: int) -> None:
    """Untouched where they are so already."""
    samples = (np.random.default_rng(0).normal(size=rate_hz) * 3000).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, rate_hz)
    (tmp_path / "transcripts.tsv").write_text("a\tA CAT\t19\n", encoding="utf-8")
    [read] = read_utterances(tmp_path)
    assert (read.name, read.text, len(read.samples)) == ("a", "A CAT", 16_000)
    assert rate_hz != 16_000 or np.array_equal(read.samples, samples)


def test_what_is_kept_is_what_was_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    read = [
        Utterance(name=f"{place}", samples=rng.integers(-9, 9, 5 + place, np.int16), text="A")
        for place in range(4)
    ]
    first = keep(tmp_path / "kept", lambda: read)
    second = keep(tmp_path / "kept", lambda: pytest.fail("read twice"))
    for found in (first, second):
        assert [(one.name, one.text) for one in found] == [(one.name, one.text) for one in read]
        assert all(np.array_equal(one.samples, other.samples) for one, other in zip(found, read, strict=True))
