"""Batches of English: repeatable, honest about their lengths, and in step with what the teacher says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("scipy", reason="the recipe needs scipy")

from benchmarks.reference import augmentation, english, layout, train_english  # noqa: E402
from benchmarks.reference.checkpoint import ENGLISH  # noqa: E402
from benchmarks.reference.training import (  # noqa: E402
    IGNORED,
    Training,
    encode_as_exported,
    encode_as_original,
    mask_features,
)

QUIET = augmentation.Surroundings(
    noises=(np.random.default_rng(1).normal(size=4000).astype(np.float32),), responses=()
)
WORDS = ("SEE", "THE", "CAT'S", "HOUSE")
COMPONENTS = 3


def made_up(count: int = 40) -> list[english.Utterance]:
    """Noise of odd lengths by three speakers, one of them for validation."""
    rng = np.random.default_rng(0)
    return [
        english.Utterance(
            name=f"{('19', '32', '226')[place % 3]}-1-{place:04d}",
            samples=(rng.normal(size=8001 + 1237 * place) * 3000).astype(np.int16),
            text=" ".join(WORDS[: 1 + place % 4]),
        )
        for place in range(count)
    ]


def lessons_for(utterances: list[english.Utterance]) -> english.Lessons:
    """Units that count frames, and features that say the same."""
    by_name = {}
    for one in utterances:
        frames = np.arange(len(one.samples) // layout.STRIDE) % 128
        features = np.repeat(frames[:, None], COMPONENTS, axis=1).astype(np.int8)
        by_name[one.name] = english.Lesson(units=frames.astype(np.uint8), features=features)
    weights = np.full(COMPONENTS, 1 / COMPONENTS, np.float32)
    return english.Lessons(by_name=by_name, num_units=128, weights=weights)


def batches(**options: float) -> english.EnglishBatches:
    utterances = made_up()
    return english.EnglishBatches(utterances, lessons_for(utterances), QUIET, seed=3, batch_s=5.0, **options)  # type: ignore[arg-type]


def spelled(batch: english.Batch) -> list[str]:
    """The text of each row."""
    rows = torch.split(batch["targets"], batch["target_lengths"].tolist())
    return ["".join(layout.LETTERS[token_id] for token_id in row).replace("|", " ") for row in rows]


@pytest.mark.parametrize("step", [0, 7, 400, 5000])
def test_a_step_is_determined_by_seed_and_step(step: int) -> None:
    first, second = batches(), batches()
    first[step + 1]
    for name, value in first[step].items():
        assert torch.equal(value, second[step][name]), name


@pytest.mark.parametrize("step", range(0, 2000, 173))
def test_lengths_are_those_of_the_rows(step: int) -> None:
    batch = batches()[step]
    lengths = batch["frame_lengths"]
    assert layout.count_frames(batch["samples"].shape[1]) == int(lengths.max()) == batch["units"].shape[1]
    assert batch["features"].shape == (*batch["units"].shape, COMPONENTS)
    assert torch.isfinite(batch["samples"]).all()
    taught = (batch["units"] != IGNORED).sum(dim=1)
    assert torch.equal(taught, lengths)
    assert set(spelled(batch)) <= {" ".join(WORDS[:count]) for count in range(1, 5)}


def test_validation_speakers_are_never_taught() -> None:
    utterances = [one for one in made_up() if one.speaker in english.VALIDATION_SPEAKERS]
    assert utterances
    composer = english.EnglishBatches(made_up(), lessons_for(made_up()), QUIET, seed=0, batch_s=5.0)
    assert not {one.name for one in composer._real.utterances} & {one.name for one in utterances}


def test_the_shortest_come_first() -> None:
    composer = batches(curriculum_steps=100)
    early = max(composer[step]["samples"].shape[1] for step in range(8))
    assert early < 0.75 * max(composer[step]["samples"].shape[1] for step in range(100, 140))


def test_lessons_keep_pace_with_speed() -> None:
    """A frame's unit is the one that was heard at its middle, at whatever speed the row runs."""
    composer, utterances = batches(), [made_up()[0], made_up()[39]]
    for speed in (0.85, 1.0, 1.15):
        lengths = [layout.count_frames(int(len(one.samples) / speed)) for one in utterances]
        taught = composer._teach(utterances, [speed] * 2, lengths)
        for row, length in enumerate(lengths):
            middle_s = (np.arange(length) * layout.STRIDE + layout.RECEPTIVE_FIELD / 2) / 16000 * speed
            heard = np.minimum((middle_s * 50).astype(int), len(utterances[row].samples) // layout.STRIDE - 1)
            assert np.array_equal(taught["units"][row, :length].numpy(), heard % 128)
            assert (taught["units"][row, length:] == IGNORED).all()
            assert np.array_equal(taught["features"][row, :length, 0].numpy(), heard % 128)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 32_000])
def test_recordings_are_read_at_16_khz(tmp_path: Path, rate_hz: int) -> None:
    """Untouched where they are so already; names are the files', whatever the format."""
    samples = (np.random.default_rng(0).normal(size=rate_hz) * 3000).astype(np.int16)
    soundfile.write(tmp_path / "19-1-0.wav", samples, rate_hz)
    (tmp_path / "transcripts.tsv").write_text("19-1-0\tA CAT\t19\n32-1-0\tUNREAD\t32\n", encoding="utf-8")
    [read] = english.read_utterances(tmp_path, only=lambda name: not english.is_held_out(name))
    assert (read.name, read.text, len(read.samples)) == ("19-1-0", "A CAT", 16_000)
    assert rate_hz != 16_000 or np.array_equal(read.samples, samples)


def test_lessons_are_read_back(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "lessons.npz",
        names=np.array(["a", "b"]),
        frames=np.array([2, 3]),
        units=np.array([5, 9, 9, 5, 7], np.uint8),
        features=np.arange(10, dtype=np.int8).reshape(5, 2),
        deviations=np.array([3.0, 1.0]),
    )
    read = english.Lessons.read(tmp_path / "lessons.npz")
    assert read.num_units == 10
    assert read.by_name["a"].units.tolist() == [5, 9]
    assert read.by_name["b"].units.tolist() == [9, 5, 7]
    assert read.by_name["b"].features.tolist() == [[4, 5], [6, 7], [8, 9]]
    assert read.weights.tolist() == [0.75, 0.25]


@pytest.mark.parametrize(
    ("heard", "kept"),
    [
        (" Well-known, isn\u2019t it?  Yes.", "WELL KNOWN ISN'T IT YES"),
        ("In 1852 he left", ""),
        ("caf\u00e9", ""),
        (" ... ", ""),
        ("a ' b", ""),
    ],
)
def test_what_the_teacher_hears_is_spelled_or_left_out(heard: str, kept: str) -> None:
    assert layout.spellable(heard) == kept
    assert layout.spell(kept.split()) == [layout.LETTERS.index(letter) for letter in kept.replace(" ", "|")]


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


@pytest.fixture(params=[False, True], ids=["adamw", "muon"])
def training(request: pytest.FixtureRequest) -> Training:
    config = dict(ENGLISH["small"]) | {"num_hidden_layers": 2, "intermediate_size": 64}
    losses = train_english.teacher_losses(torch.full((COMPONENTS,), 1 / COMPONENTS))
    return Training(
        config,
        {"units": 128, "features": COMPONENTS},
        losses,
        seed=0,
        encode=encode_as_exported,
        middle_weight=0.5,
        muon=request.param,
    )


def test_steps_lower_every_loss(training: Training) -> None:
    batch = batches()[0]
    found = [training.update(batch, 1e-3, 1.0) for _ in range(6)]
    assert set(found[0]) == {"ctc", "middle_ctc", "units", "features"}
    assert found[-1]["ctc"] < found[0]["ctc"]
    assert found[-1]["middle_ctc"] < found[0]["middle_ctc"]
    assert found[-1]["units"] < found[0]["units"]


def test_a_resumed_run_is_the_same_run(training: Training, tmp_path: Path) -> None:
    source = batches()
    training.update(source[0], 1e-3, 1.0)
    training.save(tmp_path / "training.pt")
    onward = training.update(source[1], 1e-3, 1.0)
    training.resume(tmp_path / "training.pt")
    assert training.step == 1
    assert training.update(source[1], 1e-3, 1.0) == onward


def test_both_ways_to_encode_agree(training: Training) -> None:
    """Whole rows of one length, an even number of frames, no dropout: the two differ by bfloat16 alone."""
    training.model.eval()
    samples = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 400 + 320 * 49)).astype(np.float32))
    batch = {"samples": samples, "sample_lengths": torch.tensor([samples.shape[1]] * 2)}
    with torch.inference_mode():
        exported, original = (
            encode_as_exported(training.model, batch),
            encode_as_original(training.model, batch),
        )
    for one, other in zip(exported, original, strict=True):
        assert one.shape == other.shape
        assert (one - other).norm() < 0.02 * other.norm()
