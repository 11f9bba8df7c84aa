"""What is taught: nothing that is held out, in the vocabulary's letters, real and synthetic in proportion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("scipy", reason="the recipe needs scipy")

from benchmarks.reference import corpora, english, layout  # noqa: E402
from benchmarks.reference.training import IGNORED, ctc_loss, frame_loss  # noqa: E402

SPEECH = ROOT / "../shared/speech"
HELD_OUT = corpora.HeldOutTexts(["Yes.", "It was the best of times, it was the worst of times"])


@pytest.mark.parametrize(
    ("text", "is_held_out"),
    [
        ("yes", True),
        ("YES INDEED", False),
        ("It was the best of times it was the worst of times!", True),
        ("they say the best of times, it was theirs", True),
        ("the best of times it is", False),
        ("", False),
    ],
)
def test_a_text_is_held_out_whole_or_by_six_words(text: str, is_held_out: bool) -> None:
    assert (text in HELD_OUT) is is_held_out


def test_transcripts_are_spelled_or_dropped() -> None:
    rows = {
        "32-1-0": "a speaker for validation",
        "19-1-0": "Well-known, isn\u2019t it?",
        "19-1-1": "Chapter 12",
        "19-1-2": "YES",
        **{f"call-{number}": "operator" for number in range(2 * corpora.REPEATS)},
    }
    kept = corpora.clean_transcripts(rows, HELD_OUT)
    assert kept.pop("19-1-0") == "WELL KNOWN ISN'T IT"
    assert list(kept) == [f"call-{number}" for number in range(corpora.REPEATS)]


def test_minutes_are_drawn_at_random_and_repeatably() -> None:
    durations_s = {str(number): 1.0 + number % 7 for number in range(500)}
    drawn = corpora.draw_minutes(durations_s, 10)
    assert drawn == corpora.draw_minutes(durations_s, 10) != corpora.draw_minutes(durations_s, 10, seed=1)
    assert 600 - 7 <= sum(durations_s[name] for name in drawn) <= 600
    assert corpora.draw_minutes(durations_s, 1e6) == set(durations_s)
    assert corpora.draw_minutes({}, 10) == set()


def test_what_is_kept_is_what_was_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    read = [
        english.Utterance(name=f"19-1-{place}", samples=rng.integers(-9, 9, 5 + place, np.int16), text="A")
        for place in range(4)
    ]
    first = corpora.keep(tmp_path / "kept", lambda: read)
    second = corpora.keep(tmp_path / "kept", lambda: pytest.fail("read twice"))
    for found in (first, second):
        assert [(one.name, one.text) for one in found] == [(one.name, one.text) for one in read]
        assert all(np.array_equal(one.samples, other.samples) for one, other in zip(found, read, strict=True))


@pytest.mark.skipif(not SPEECH.exists(), reason="needs ../shared/speech")
def test_no_text_of_a_report_is_taught() -> None:
    taught = corpora.taught_transcripts(SPEECH)
    assert set(taught) == set(corpora.TAUGHT)
    texts = [text for rows in taught.values() for text in rows.values()]
    held_out = [
        text for name in corpora.REPORTED for text in english.read_transcripts(SPEECH / name).values()
    ]
    assert not set(texts) & set(held_out)
    first, second = (
        {six for text in some for six in zip(*(text.split()[at:] for at in range(6)), strict=False)}
        for some in (texts, held_out)
    )
    assert not first & second
    assert not any(english.is_held_out(name) for rows in taught.values() for name in rows)
    assert all(set(text) <= {*" '", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"} for text in texts)


def silence(prefix: str, count: int) -> list[english.Utterance]:
    return [
        english.Utterance(name=f"{prefix}-{place}", samples=np.ones(16_000 + place, np.int16), text="A")
        for place in range(count)
    ]


def test_batches_are_real_or_synthetic_in_proportion() -> None:
    mix = english.Mix(synthetic_share=0.5, real_from=200)
    drawn = [mix.is_synthetic(step, np.random.default_rng(step)) for step in range(400)]
    assert 70 < sum(drawn[:200]) < 130
    assert not any(drawn[200:])


def test_neighbours_in_length_fill_a_batch() -> None:
    pool = english.Pool([*silence("19", 50), *silence("32", 5)])
    assert len(pool.utterances) == 50
    rng = np.random.default_rng(0)
    for _ in range(20):
        drawn = pool.draw(1.0, 10.0, rng)
        lengths = [len(one.samples) for one in drawn]
        assert lengths == list(range(lengths[0], lengths[0] + len(drawn)))
        assert 9 <= len(drawn) <= 10
    assert max(len(one.samples) for _ in range(20) for one in pool.draw(0.5, 5.0, rng)) < 16_000 + 30


def test_what_lacks_text_or_lesson_has_no_part() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 6, len(layout.LETTERS))
    whole = {
        "targets": torch.tensor([5, 6]),
        "target_lengths": torch.tensor([2, 0]),
        "frame_lengths": torch.tensor([6, 4]),
        "transcribed": torch.tensor([True, False]),
    }
    alone = {name: value[:1] for name, value in whole.items()} | {"targets": whole["targets"]}
    assert torch.allclose(ctc_loss(logits, whole), ctc_loss(logits[:1], alone))
    none = whole | {"target_lengths": torch.tensor([0, 0]), "targets": torch.tensor([], dtype=torch.long)}
    assert ctc_loss(logits, none | {"transcribed": torch.tensor([False, False])}) == 0
    labels = torch.full((2, 6), IGNORED)
    assert frame_loss(logits, labels) == 0
    labels[0, :3] = 1
    expected = torch.nn.functional.cross_entropy(logits[0, :3], labels[0, :3])
    assert torch.allclose(frame_loss(logits, labels), expected)


def surroundings() -> english.Surroundings:
    return english.Surroundings(noises=(np.ones(400, np.float32),), responses=())


def test_a_run_may_begin_without_lessons() -> None:
    none = english.Lessons.none()
    utterances = silence("19", 20)
    batch = english.EnglishBatches(utterances, none, surroundings(), seed=0, batch_s=4.0, curriculum_steps=0)[
        0
    ]
    assert (batch["units"] == IGNORED).all()
    assert batch["features"].shape[2] == english.COMPONENTS == len(none.weights)
