"""Laws: the bound holds on the recordings that were given, a larger one keeps no more, and what is said to be
kept is float32 in the file; or nothing is written."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import soundfile

import sewd_runtime
from sewd_export import export, exporter, verify
from sewd_export.checkpoint.loading import load_checkpoint
from sewd_export.errors import BoundError, ExportError
from sewd_export.parity.signals import Signal
from sewd_export.parity.transcripts import read_logits
from sewd_export.precisions import PRECISIONS
from sewd_export.precisions.attempts import Attempts
from sewd_export.search.evaluation import Evaluation
from sewd_export.search.mixed import count_multiplications, keep_sensitive
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.bundle.sensitivity import Sensitivity
from sewd_runtime.cli import main

TINY = Path(__file__).parents[2] / "data" / "tiny"
Keep = Callable[..., Sensitivity]


def noise(count: int) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    random = np.random.default_rng(11)
    return [0.3 * random.standard_normal(3000 + 400 * i).astype(np.float32) for i in range(count)]


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Six recordings of noise, and as transcripts what float32 reads in them: 8 bits can only be worse."""
    recognizer = sewd_runtime.Recognizer.load(TINY)
    unsaid = Evaluation(
        recordings=tuple(Signal(name=str(i), samples=samples) for i, samples in enumerate(noise(6))),
        max_increase=0,
        sample_rate_hz=16_000,
        vocabulary=recognizer.vocabulary,
    )
    texts = [read_logits(logits, unsaid.vocabulary) for logits in unsaid.run(TINY / "model.fp32.onnx")]
    said = [
        dataclasses.replace(signal, transcript=text)
        for signal, text in zip(unsaid.recordings, texts, strict=True)
    ]
    return dataclasses.replace(unsaid, recordings=tuple(said))


@pytest.fixture
def keep(tmp_path: Path, evaluation: Evaluation) -> Keep:
    """Return a function that searches for what int8 keeps under a bound, from models that keep nothing."""

    def search(max_increase: float, **changes: Any) -> Sensitivity:
        for precision in ("fp32", "int8"):
            shutil.copy(TINY / f"model.{precision}.onnx", tmp_path)
        own = dataclasses.replace(evaluation, max_increase=max_increase, **changes)
        converters = {"int8": PRECISIONS["int8"].convert}
        attempts = Attempts(["int8"], strict=True)
        return keep_sensitive(tmp_path, converters, own, attempts=attempts, progress=lambda _: None)["int8"]

    return search


def without_transcripts(evaluation: Evaluation) -> tuple[Signal, ...]:
    return tuple(dataclasses.replace(signal, transcript=None) for signal in evaluation.recordings)


def matmuls(path: Path) -> set[str]:
    """The matmuls with constant weights that are float32 in a model file."""
    model = ir.load(path)
    return {str(node.name) for node in PRECISIONS["int8"].matmuls(model)}


@pytest.mark.parametrize(("measure", "bounds"), [("wer", (100, 10)), ("disagreement", (100, 20))])
def test_the_bound_holds_and_a_larger_one_keeps_no_more(
    keep: Keep, tmp_path: Path, evaluation: Evaluation, measure: str, bounds: tuple[float, ...]
) -> None:
    recordings = evaluation.recordings if measure == "wer" else without_transcripts(evaluation)
    own = dataclasses.replace(evaluation, recordings=recordings)
    expected = own.run(TINY / "model.fp32.onnx")
    everything = matmuls(TINY / "model.fp32.onnx")
    assert not matmuls(TINY / "model.int8.onnx")
    counts = []
    for bound in bounds:
        found = keep(bound, recordings=recordings)
        increase = own.increase(own.run(tmp_path / "model.int8.onnx"), expected)
        assert increase == found.increase <= bound
        assert (found.measure, found.recordings) == (measure, len(recordings))
        assert (found.words > 0) == (measure == "wer")
        kept = {name for group in found.kept for name in group.products}
        assert matmuls(tmp_path / "model.int8.onnx") == kept < everything
        counts.append(len(found.kept))
    assert counts == sorted(counts)
    assert counts[0] == 0 < counts[-1]
    assert {name for group in found.groups for name in group.products} == everything
    assert found.kept == found.groups[: len(found.kept)]
    assert sum(group.multiplications for group in found.groups) == pytest.approx(1)


def test_a_bound_that_holds_keeps_nothing_and_measures_no_group(keep: Keep, tmp_path: Path) -> None:
    found = keep(100)
    assert (found.groups, [trial.kept for trial in found.trials]) == ((), [0])
    assert (tmp_path / "model.int8.onnx").read_bytes() == (TINY / "model.int8.onnx").read_bytes()
    assert list(found.describe("int8"))[-1] == "kept in float32: nothing, the bound holds as it is"


def test_what_no_mix_can_hold_is_an_error(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Evaluation, "increase", lambda *_: 7.0)
    with pytest.raises(BoundError, match=r"int8: word error rate \+7\.00 .* at best, .* 5 allowed: raise"):
        keep(5)


def test_two_minutes_of_recordings_rank_the_groups(evaluation: Evaluation) -> None:
    """At least one, none twice, and the same every time; all, where there are no two minutes."""
    assert sorted(evaluation.ranking()) == list(range(len(evaluation.recordings)))
    minutes = [Signal(name=str(i), samples=np.zeros(60 * 16_000, np.float32)) for i in range(5)]
    longer = dataclasses.replace(evaluation, recordings=tuple(minutes))
    assert len(set(longer.ranking())) == len(longer.ranking()) == 2
    assert longer.ranking() == longer.ranking()


def test_multiplications_are_counted() -> None:
    """10 frames of 32 numbers times 32 columns, for instance; the tables are cut to as many rows as occur."""
    model = ir.load(TINY / "model.fp32.onnx")
    names = [str(node.name) for node in PRECISIONS["int8"].matmuls(model)]
    counts = count_multiplications(model, names, np.zeros(80 * 20, np.float32))
    assert counts.keys() == set(names)
    assert counts["layers.0.attention.query/MatMul"] == 10 * 32 * 32
    assert counts["layers.0.feed_forward.output/MatMul"] == 10 * 48 * 32


# The whole export.


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory, evaluation: Evaluation) -> Path:
    """The recordings as files, with their transcripts."""
    folder = tmp_path_factory.mktemp("recordings")
    for signal in evaluation.recordings:
        soundfile.write(folder / f"{signal.name}.wav", signal.samples, 16_000, subtype="FLOAT")
    lines = [f"{signal.name}\t{signal.transcript}\n" for signal in evaluation.recordings]
    (folder / "transcripts.tsv").write_text("".join(lines))
    return folder


@pytest.fixture
def traced_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an export take the graph that was traced before."""
    monkeypatch.setattr(exporter, "trace", lambda *_, **__: ir.load(TINY / "model.fp32.onnx"))


@pytest.mark.usefixtures("traced_before")
def test_an_export_says_what_it_kept(
    tiny: Path, tmp_path: Path, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages: list[str] = []
    made = export(
        tiny,
        tmp_path / "bundle",
        precisions=("int8",),
        evaluate=recordings,
        max_wer_increase=10,
        progress=stages.append,
    )
    found = made.sensitivities["int8"]
    kept = {name for group in found.kept for name in group.products}
    assert kept
    assert any(stage.startswith("int8: convert each group alone, 0 of ") for stage in stages)
    opened = open_bundle(made.path)
    name = "sensitivity.int8.json"
    assert name in opened.manifest.files
    assert Sensitivity.from_json(opened.read_text(name), where=name) == found
    assert matmuls(made.path / "model.int8.onnx") == kept
    for report in verify(made.path, tiny):
        report.check()
    assert main(["inspect", str(made.path), "--precision", "int8"]) == 0
    shown = capsys.readouterr().out
    assert all(line in shown for line in found.describe("int8"))
    assert all(product in shown for product in kept)


@pytest.mark.usefixtures("traced_before")
def test_strict_a_bound_that_is_missed_writes_nothing(
    tiny: Path, tmp_path: Path, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Evaluation, "increase", lambda *_: 100.0)
    options: dict[str, Any] = {"precisions": ("int8",), "evaluate": recordings, "max_wer_increase": 1}
    with pytest.raises(BoundError):
        export(tiny, tmp_path / "new" / "bundle", strict=True, **options)
    assert not (tmp_path / "new").exists()


# What is refused.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_wer_increase": 1.0}, "go together"),
        ({"evaluate": "."}, "go together"),
        ({"evaluate": ".", "max_wer_increase": 1.0, "precisions": ("fp16",)}, "is for int8"),
        ({"evaluate": "absent", "max_wer_increase": 1.0}, r"absent: no such folder"),
        ({"evaluate": ".", "max_wer_increase": -1.0}, "percentage points, 0 or more"),
        ({"evaluate": ".", "max_wer_increase": float("nan")}, "percentage points, 0 or more"),
    ],
)
def test_options_that_make_no_bound(
    tiny: Path, tmp_path: Path, options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExportError, match=message):
        export(tiny, tmp_path / "bundle", **{"precisions": ("int8",), **options})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("0\tA\n", r"1 of 2 recordings have no transcript, e\.g\. 1\.wav; add them, or remove"),
        ("0\t\n1\t\n", "has no words"),
        ("0\t-\n1\t?!\n", "has no words"),
        ("0\tA\n1\tB\n", None),
        (None, None),
    ],
)
def test_either_all_recordings_have_transcripts_or_none(
    tiny: Path, tmp_path: Path, lines: str | None, message: str | None
) -> None:
    checkpoint = load_checkpoint(tiny)
    for name in ("0", "1"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(900), 16_000)
    soundfile.write(tmp_path / "short.wav", np.zeros(9), 16_000)  # too short to be read: it is left out
    if lines is not None:
        (tmp_path / "transcripts.tsv").write_text(lines)
    if message is not None:
        with pytest.raises(ExportError, match=message):
            Evaluation.read(tmp_path, checkpoint, max_increase=1)
        return
    found = Evaluation.read(tmp_path, checkpoint, max_increase=1)
    assert (len(found.recordings), found.words) == (2, 2 if lines else 0)
    for name in ("0", "1"):
        (tmp_path / f"{name}.wav").unlink()
    with pytest.raises(ExportError, match="every recording is shorter than 80 samples"):
        (tmp_path / "transcripts.tsv").unlink(missing_ok=True)
        Evaluation.read(tmp_path, checkpoint, max_increase=1)


def test_a_classifier_has_no_words(tiny: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(tiny.with_name("checkpoint-tiny-classifier"))
    with pytest.raises(ExportError, match="classification has no words"):
        Evaluation.read(tmp_path, checkpoint, max_increase=1)
