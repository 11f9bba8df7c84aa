"""Law: the report passes what is the original, and nothing else; here the original is a product of numpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sewd_export.checkpoint.geometry import Geometry
from sewd_export.errors import ExportError, ParityError
from sewd_export.parity.reference import (
    Answer,
    Array,
    Candidate,
    Reference,
    rounded_differently,
)
from sewd_export.parity.report import Distance, ParityReport
from sewd_export.parity.signals import (
    BATCH_SIZES,
    Signal,
    golden_signal,
    ragged_batches,
    read_recordings,
    signals,
)
from sewd_export.search.calibration import read_calibration
from sewd_runtime.bundle.manifest import CtcEntry, Tolerance
from sewd_runtime.text.vocabulary import Vocabulary

FIELD, OUTPUTS = 7, 5
LENGTHS = {"one frame": 7, "odd": 33, "even": 128, "long": 701}
TOLERANCE = Tolerance(max_abs=1e-3, relative=1e-2, batch_error=1e-5)
WEIGHTS = np.random.default_rng(0).standard_normal((FIELD, OUTPUTS)).astype(np.float32)


def original(samples: Array) -> Array:
    """(samples,) → logits (frames, outputs)."""
    return samples[: len(samples) // FIELD * FIELD].reshape(-1, FIELD) @ WEIGHTS


def one_by_one(model: Callable[[Array], Array]) -> Candidate:
    return lambda recordings: [model(samples) for samples in recordings]


def changed(name: str, change: Callable[[Array], Array]) -> Candidate:
    """The original, but for one utterance."""
    return one_by_one(lambda s: change(original(s)) if len(s) == LENGTHS[name] else original(s))


@pytest.fixture
def reference() -> Reference:
    random = np.random.default_rng(1)
    drawn = {name: random.standard_normal(length).astype(np.float32) for name, length in LENGTHS.items()}
    answers = tuple(
        Answer(name=name, samples=samples, expected=original(samples), movement=Distance(0.0, 0.0))
        for name, samples in drawn.items()
    )
    found = [Signal(name=name, samples=samples) for name, samples in drawn.items()]
    ctc = CtcEntry(
        blank_id=0, unknown_token=None, word_delimiter="|", do_lower_case=False, clean_up_spaces=False
    )
    tokens = {token: i for i, token in enumerate(("<pad>", "|", "A", "B", "C"))}
    return Reference(
        task="ctc",
        golden=answers[1],
        answers=answers,
        ragged=ragged_batches(found, max_samples=1000),
        vocabulary=Vocabulary.from_manifest(tokens, ctc, OUTPUTS),
    )


def compare(reference: Reference, candidate: Candidate) -> ParityReport:
    return reference.compare_with(candidate, precision="fp32", tolerance=TOLERANCE)


def test_the_original_passes_without_error(reference: Reference) -> None:
    report = compare(reference, one_by_one(original))
    report.check()
    assert report.failures == []
    evidence = report.evidence
    assert evidence.cases == len(LENGTHS)
    assert (evidence.max_abs, evidence.relative, evidence.batch_error) == (0, 0, 0)
    assert (evidence.label_agreement, evidence.transcript_agreement) == (1, 1)


@pytest.mark.parametrize("name", LENGTHS)
@pytest.mark.parametrize("frame", [0, -1])
def test_one_wrong_number_fails_and_is_named(reference: Reference, name: str, frame: int) -> None:
    def change(logits: Array, by: float) -> Array:
        logits[frame, 2] += by
        return logits

    compare(reference, changed(name, lambda logits: change(logits, 0.9 * TOLERANCE.max_abs))).check()
    report = compare(reference, changed(name, lambda logits: change(logits, 1.5 * TOLERANCE.max_abs)))
    assert len(report.failures) == 1
    with pytest.raises(
        ParityError, match=f"fp32 failed verification on '{name}': absolute error 0.0015 > 0.001"
    ):
        report.check()
    assert report.evidence.max_abs == pytest.approx(1.5 * TOLERANCE.max_abs, rel=0.1)


def test_an_output_is_held_to_what_the_original_determines(reference: Reference) -> None:
    def unsteady(movement: Distance) -> Reference:
        answers = tuple(dataclasses.replace(answer, movement=movement) for answer in reference.answers)
        return dataclasses.replace(reference, answers=answers)

    def change(logits: Array, by: float) -> Array:
        logits[0, 2] += by
        return logits

    def off_by(error: float) -> ParityReport:
        wrong = changed("long", lambda logits: change(logits, error))
        return compare(unsteady(Distance(largest, 0.0)), wrong)

    def scaled_by(error: float) -> ParityReport:
        wrong = changed("odd", lambda logits: logits * np.float32(1 + error))
        return compare(unsteady(Distance(1.0, relative)), wrong)

    largest, relative = 3 * TOLERANCE.max_abs, 3 * TOLERANCE.relative
    off_by(3.9 * largest).check()
    with pytest.raises(ParityError, match="'long': absolute error"):
        off_by(4.1 * largest).check()
    scaled_by(3.9 * relative).check()
    with pytest.raises(ParityError, match="'odd': relative error"):
        scaled_by(4.1 * relative).check()


def test_rounding_otherwise_moves_every_sample_by_one_step() -> None:
    samples = np.random.default_rng(2).standard_normal(1001).astype(np.float32)
    moved = rounded_differently(samples)
    assert moved.dtype == np.float32
    np.testing.assert_array_equal(
        np.minimum(samples, moved), np.nextafter(np.maximum(samples, moved), -np.inf)
    )
    assert 0.4 < np.mean(moved > samples) < 0.6


def test_many_small_errors_fail_by_their_norm(reference: Reference) -> None:
    small = dataclasses.replace(TOLERANCE, relative=1e-4)
    noisy = one_by_one(lambda samples: original(samples) * np.float32(1 + 2e-4))
    report = reference.compare_with(noisy, precision="int8", tolerance=small)
    relative = [line for line in report.failures if "relative" in line]
    assert len(relative) == len(LENGTHS)
    assert report.evidence.relative == pytest.approx(2e-4, rel=0.01)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", LENGTHS)
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # inf - inf
def test_what_is_not_a_number_fails(reference: Reference, name: str, value: float) -> None:
    def change(logits: Array) -> Array:
        logits[0, 0] = value
        return logits

    report = compare(reference, changed(name, change))
    assert any(line.startswith(f"'{name}': absolute") for line in report.failures)
    with pytest.raises(ParityError, match=name):
        report.check()
    assert not np.isfinite([report.evidence.max_abs, report.evidence.relative]).any()


@pytest.mark.parametrize("shape", [lambda y: y[:-1], lambda y: np.vstack([y, y[-1:]]), lambda y: y[:, :-1]])
def test_a_wrong_shape_fails(reference: Reference, shape: Callable[[Array], Array]) -> None:
    report = compare(dataclasses.replace(reference, vocabulary=None), changed("odd", shape))
    assert any(line.startswith("'odd': absolute error inf") for line in report.failures)
    assert report.evidence.max_abs == np.inf
    assert report.evidence.label_agreement == (len(LENGTHS) - 1) / len(LENGTHS)


@pytest.mark.parametrize("error", [1e-4, np.nan])
def test_a_batch_that_depends_on_its_neighbours_fails(reference: Reference, error: float) -> None:
    def candidate(recordings: Sequence[Array]) -> list[Array]:
        found = [original(samples) for samples in recordings]
        if len(recordings) == BATCH_SIZES[-1]:
            found[3] = found[3] * np.float32(1 + error)
        return found

    report = compare(reference, candidate)
    assert report.failures == [
        f"batches: difference of an item {report.batch_error:.2g} > {TOLERANCE.batch_error:.2g}"
    ]
    assert report.evidence.batch_error == pytest.approx(error, rel=0.01, nan_ok=True)
    assert report.evidence.max_abs == 0
    with pytest.raises(ParityError, match="batches"):
        report.check()


def test_agreement_counts_frames_and_transcripts(reference: Reference) -> None:
    """Of 4 frames, the label of one differs, and so does the text."""
    random = np.random.default_rng(2)
    labels = {
        "one frame": [2],
        "odd": [2, 3, 1, 4],
        "even": random.integers(0, OUTPUTS, 18),
        "long": [0] * 100,
    }
    answers = tuple(
        dataclasses.replace(answer, expected=10 * np.eye(OUTPUTS, dtype=np.float32)[labels[answer.name]])
        for answer in reference.answers
    )
    by_length = {len(answer.samples): answer for answer in answers}

    def model(samples: Array) -> Array:
        answer = by_length[len(samples)]
        logits = answer.expected.copy()
        if answer.name == "odd":
            logits[1] = logits[0]  # ABC → A C
        return logits

    report = compare(dataclasses.replace(reference, answers=answers), one_by_one(model))
    agreements = {case.name: (case.label_agreement, case.transcript_agreement) for case in report.cases}
    assert agreements == {
        "one frame": (1, True),
        "odd": (0.75, False),
        "even": (1, True),
        "long": (1, True),
    }
    assert report.evidence.label_agreement == (1 + 0.75 + 1 + 1) / 4
    assert report.evidence.transcript_agreement == 0.75
    assert "DIFFERS" in str(report)


def test_words_are_counted_where_a_transcript_is(reference: Reference) -> None:
    """The original reads A B C as A C; the candidate reads it right, and reads one word more elsewhere."""
    truths = {"odd": "A B C", "even": "A", "long": None, "one frame": None}
    read = {"odd": [2, 1, 4, 0], "even": [2], "long": [0] * 100, "one frame": [3]}
    found = {"odd": [2, 1, 3, 1, 4], "even": [2, 1, 3], "long": [2], "one frame": [3]}
    answers = tuple(
        dataclasses.replace(
            answer,
            expected=np.eye(OUTPUTS, dtype=np.float32)[read[answer.name]],
            transcript=truths[answer.name],
        )
        for answer in reference.answers
    )
    by_length = {len(answer.samples): found[answer.name] for answer in answers}
    report = compare(
        dataclasses.replace(reference, answers=answers),
        one_by_one(lambda samples: np.eye(OUTPUTS, dtype=np.float32)[by_length[len(samples)]]),
    )
    evidence = report.evidence
    assert (evidence.words, evidence.wer, evidence.original_wer) == (4, 0.25, 0.25)
    assert str(report).endswith("word error rate 25.00%, original 25.00%: 4 words")
    other = dataclasses.replace(reference, answers=answers, vocabulary=None, task="encoding")
    assert compare(other, one_by_one(original)).evidence.words == 0


def test_other_tasks_have_fewer_agreements(reference: Reference) -> None:
    other = dataclasses.replace(reference, vocabulary=None)
    evidence = compare(dataclasses.replace(other, task="classification"), one_by_one(original)).evidence
    assert (evidence.label_agreement, evidence.transcript_agreement) == (1, None)
    evidence = compare(dataclasses.replace(other, task="encoding"), one_by_one(original)).evidence
    assert (evidence.label_agreement, evidence.transcript_agreement) == (None, None)


def test_an_answer_of_zeros_is_met_as_closely_as_one_of_ones(reference: Reference) -> None:
    zeros = tuple(dataclasses.replace(answer, expected=0 * answer.expected) for answer in reference.answers)
    none = dataclasses.replace(reference, answers=zeros)
    strict = dataclasses.replace(TOLERANCE, relative=1e-6)

    def off_by(error: float) -> ParityReport:
        candidate = one_by_one(lambda samples: 0 * original(samples) + np.float32(error))
        return none.compare_with(candidate, precision="fp32", tolerance=strict)

    assert off_by(0).evidence.relative == 0
    off_by(0.9e-6).check()
    report = off_by(1.1e-6)
    assert all("relative error 1.1" in line for line in report.failures)
    assert len(report.failures) == len(LENGTHS)


def test_the_table_has_a_line_for_everything(reference: Reference) -> None:
    report = compare(reference, one_by_one(original))
    title, header, *rows = str(report).split("\n")
    assert title == "fp32 against the original"
    assert header.split() == ["utterance", "max", "abs", "moves", "relative", "labels", "text"]
    for (name, _), row in zip(LENGTHS.items(), rows, strict=False):
        assert row.startswith(f"{name} ")
        assert row.split()[-5:] == ["0.0e+00", "0.0e+00", "0.0e+00", "100.00%", "equal"]
    assert [row.split("  ")[0] for row in rows[len(LENGTHS) :]] == ["batch against one by one", "tolerance"]


# The grid.

GEOMETRIES = [
    Geometry(receptive_field=400, stride=320, min_samples=400),
    Geometry(receptive_field=400, stride=320, min_samples=1040),
    Geometry(receptive_field=25, stride=1, min_samples=25),
    Geometry(receptive_field=37, stride=24, min_samples=37),
]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda g: f"{g.min_samples}-{g.stride}")
@pytest.mark.parametrize("rate", [8000, 16000])
def test_the_grid_has_every_boundary(geometry: Geometry, rate: int) -> None:
    found = signals(geometry, sample_rate_hz=rate)
    lengths = [len(signal.samples) for signal in found]
    first, stride = geometry.min_samples, geometry.stride
    longest = first + 3100 * stride  # attention over more frames than those of a minute at 50 Hz is too slow
    assert {first, first + 1, first + stride - 1, first + stride} <= set(lengths)
    usual = (rate, rate + 1, 47777, 10 * rate, 30 * rate, 61 * rate)
    assert {min(length, longest) for length in usual} <= set(lengths)
    assert max(lengths) <= longest
    assert min(lengths) == first
    names = [signal.name for signal in found]
    assert len(set(names)) == len(names)
    assert {"silence", "clipped", "DC offset", golden_signal(rate).name} <= set(names)
    for signal in found:
        assert signal.samples.dtype == np.float32
        assert np.abs(signal.samples).max() <= 1.0
    again = signals(geometry, sample_rate_hz=rate)
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(found, again, strict=True))


def test_batches_are_ragged_and_the_same_every_time() -> None:
    found = signals(GEOMETRIES[0], sample_rate_hz=16000)
    batches = ragged_batches(found, max_samples=160000)
    assert tuple(map(len, batches)) == BATCH_SIZES
    assert len({len(signal.samples) for signal in batches[-1]}) > 5
    assert max(len(signal.samples) for batch in batches for signal in batch) <= 160000
    names = [[signal.name for signal in batch] for batch in batches]
    assert names == [[s.name for s in batch] for batch in ragged_batches(found, max_samples=160000)]


def test_recordings_of_the_same_name_are_all_compared(tmp_path: Path) -> None:
    own = ["a/0.wav", "b/0.wav", "b/0.flac", "B/C/loud.WAV", f"{golden_signal(16000).name}.flac"]
    for seed, name in enumerate(own):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, (1601 + seed, 2)), 16000)
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "notes.txt").write_text("not audio")
    grid = signals(GEOMETRIES[0], sample_rate_hz=16000)
    found = signals(GEOMETRIES[0], sample_rate_hz=16000, audio=tmp_path)
    assert {signal.name: len(signal.samples) for signal in found[len(grid) :]} == {
        name: 1601 + seed for seed, name in enumerate(own)
    }
    assert not {signal.name for signal in grid} & set(own)


def test_a_folder_without_recordings_or_with_a_bad_one_is_named(tmp_path: Path) -> None:
    faults = {tmp_path: r"no recordings \(.*\.flac, .*\)", tmp_path / "absent": "no such folder"}
    for folder, fault in faults.items():
        with pytest.raises(ExportError, match=f"{folder.name}: {fault}"):
            signals(GEOMETRIES[0], sample_rate_hz=16000, audio=folder)
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    with pytest.raises(ExportError, match=r"bad\.wav"):
        signals(GEOMETRIES[0], sample_rate_hz=16000, audio=tmp_path)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_a_truncated_recording_is_refused_by_name(tmp_path: Path, suffix: str) -> None:
    """Elsewhere it is a warning; here half an utterance would be compared with all of its transcript."""
    path = tmp_path / f"half{suffix}"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 40_000), 16000)
    assert len(read_recordings(tmp_path, 16000)) == 1
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ExportError, match=rf"half\{suffix}"):
        read_recordings(tmp_path, 16000)
    with pytest.raises(ExportError, match=rf"half\{suffix}"):
        read_calibration(tmp_path, sample_rate_hz=16000, min_samples=400)
