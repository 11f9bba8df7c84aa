"""Laws of the comparison with peers, on variants that are one matrix product; nothing here is timed."""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jiwer", reason="error rates need jiwer")

from benchmarks import parity
from benchmarks.peers import driver, engines, make, report, results
from benchmarks.peers.models import COMPARISONS, MODELS, Comparison, Model
from benchmarks.peers.prepare import PreparationError, Workshop, size_of
from benchmarks.peers.rounds import order_of
from benchmarks.peers.variants import (
    ARTIFACTS,
    ENVIRONMENTS,
    OPENERS,
    PEERS,
    Variant,
    environments_of,
    own_variants,
)
from benchmarks.results import ROOT, write_rows

RESULTS = ROOT / "benchmarks/results"
ROUNDS, REPEATS, CLIPS = 3, 2, (0.1, 0.2)
FAKE = """
import time
import numpy as np

def open_product(path, threads, options):
    weights = np.random.default_rng(0).normal(size=(400, 32)).astype("f")
    weights *= 1 + float(options["error"])

    def run(samples):
        print("noise on standard output")
        start = time.monotonic_ns()
        frames = len(samples) // 400
        logits = samples[: frames * 400].reshape(frames, 400) @ weights
        with open(options["log"], "a") as log:
            log.write(f"{options['name']} {start} {time.monotonic_ns()}\\n")
        return logits

    return run

def open_nothing(path, threads, options):
    raise OSError("no such engine")

def open_brittle(path, threads, options):
    return lambda samples: np.zeros((3, 3), "f")
"""


def fake(name: str, log: Path, *, error: float = 0.0, opener: str = "open_product") -> Variant:
    return Variant(
        name=name,
        ours=name.startswith("sewd"),
        engine=f"fake_engines:{opener}",
        precision="fp32",
        options={"name": name, "log": str(log), "error": str(error)},
        made="by hand",
        runs="numpy",
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> driver.Run:
    """Return a comparison of two products, a variant that does not open and one of the wrong shape."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "fake_engines.py").write_text(FAKE)
    audio = folder / "audio"
    audio.mkdir()
    rng = np.random.default_rng(1)
    np.savez(audio / "clips.npz", **{f"{s:g}": rng.normal(size=int(16_000 * s)).astype("f") for s in CLIPS})
    np.savez(audio / "utterances.npz", **{str(i): rng.normal(size=4_000).astype("f") for i in range(3)})
    rows = [{"key": str(i), "set": "odd" if i % 2 else "even", "text": "ONE"} for i in range(3)]
    about = {"source": "noise", "minutes": 0.0, "calibration_utterances": 0, "utterances": rows}
    (audio / "utterances.json").write_text(json.dumps(about))
    log = folder / "log.txt"
    variants = [
        fake("transformers", log),
        fake("sewd-fp32", log, error=0.01),
        fake("absent", log, opener="open_nothing"),
        fake("brittle", log, opener="open_brittle"),
    ]
    model = MODELS["digits"]
    return driver.Run(
        comparison=Comparison(
            name="fake", title="a product", models=("digits",), baselines=("transformers",)
        ),
        settings=driver.Settings(clips_s=CLIPS, threads=(1,), rounds=ROUNDS, repeats=REPEATS),
        workshop=Workshop(folder=folder, pythons={"main": sys.executable}),
        reference=variants[0],
        entries={
            one.name: driver.Entry(name=one.name, model=model, variant=one, path=folder) for one in variants
        },
    )


@pytest.fixture(scope="module")
def content(run: driver.Run) -> Mapping[str, Any]:
    """Return what the run measured, after it was written and read again; its log keeps the timed part."""
    before = os.environ.get("PYTHONPATH", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join((str(run.workshop.folder), before)))
        errors = driver.measure_errors(run)
        (run.workshop.folder / "log.txt").unlink()
        measured = driver.assemble(run, errors, driver.measure_times(run))
    write_rows(results.path_of(run.workshop.folder, "fake"), measured)
    found = results.read(run.workshop.folder, "fake")
    assert found == measured  # write-then-read is identity
    return found


def log_of(run: driver.Run) -> list[tuple[str, int, int]]:
    lines = (run.workshop.folder / "log.txt").read_text().splitlines()
    return [(name, int(start), int(end)) for name, start, end in map(str.split, lines)]


def test_only_one_variant_computes_at_a_time(run: driver.Run, content: Mapping[str, Any]) -> None:
    spans = [(start, end) for _, start, end in log_of(run)]
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def test_rounds_are_interleaved_in_their_own_orders(run: driver.Run, content: Mapping[str, Any]) -> None:
    names = [name for name, _, _ in log_of(run)]
    running = ["transformers", "sewd-fp32"]
    warm_up = [name for name in running for _ in range(2 * len(CLIPS))]
    turns = [
        name
        for number in range(ROUNDS)
        for _ in CLIPS
        for name in order_of(running, number)
        for _ in range(REPEATS)
    ]
    assert names == warm_up + turns


def test_orders_are_permutations_and_differ() -> None:
    names = list("abcdef")
    orders = [order_of(names, number) for number in range(20)]
    assert all(sorted(order) == names for order in orders)
    assert len({tuple(order) for order in orders}) > 15
    assert orders == [order_of(names, number) for number in range(20)]


def test_ratios_follow_from_the_times(content: Mapping[str, Any]) -> None:
    assert len(content["times"]) == 2 * len(CLIPS)
    for row in content["times"]:
        assert len(row["seconds"]) == ROUNDS
        assert row["min_s"] == min(row["seconds"])
        assert row["median_s"] == np.median(row["seconds"])
    assert len(content["ratios"]) == len(CLIPS)
    for row in content["ratios"]:
        assert (row["variant"], row["against"]) == ("sewd-fp32", "transformers")
        place = {"threads": row["threads"], "clip_s": row["clip_s"]}
        ours, other = (
            results.find(content["times"], variant=name, **place) for name in ("sewd-fp32", "transformers")
        )
        assert ours is not None
        assert other is not None
        rounds = [b / a for a, b in zip(ours["seconds"], other["seconds"], strict=True)]
        assert row["lower"] <= row["median"] <= row["upper"]
        assert row["median"] == pytest.approx(np.median(rounds))
        assert min(rounds) <= row["lower"]
        assert row["upper"] <= max(rounds)


def test_no_speed_without_an_error(content: Mapping[str, Any]) -> None:
    timed = {row["variant"] for row in content["times"]}
    for row in content["variants"]:
        assert (row["name"] in timed) == ("errors" in row) == ("failed" not in row)
    assert results.find(content["variants"], name="absent")["failed"] == "OSError: no such engine"  # type: ignore[index]
    assert "(3, 3)" in results.find(content["variants"], name="brittle")["failed"]  # type: ignore[index]
    errors = {row["name"]: row["errors"] for row in content["variants"] if "errors" in row}
    assert errors["transformers"]["relative_error"] == 0
    assert errors["transformers"]["wer_increase"] == 0
    assert errors["sewd-fp32"]["relative_error"] == pytest.approx(0.01, rel=1e-2)
    assert errors["sewd-fp32"]["label_agreement"] == errors["sewd-fp32"]["transcripts_equal"] == 1
    assert set(errors["sewd-fp32"]["wer_by_set"]) == {"even", "odd"}


def test_tables_name_every_variant(content: Mapping[str, Any]) -> None:
    content = {
        **content,
        "environments": {"main": dict.fromkeys(("torch", "transformers", "onnxruntime"), "1")},
    }
    lines = list(report.speed_table(content, content, clip_s=CLIPS[0]))
    assert len(lines) == 2 + len(content["variants"])
    assert len({line.count("|") for line in lines}) == 1
    assert lines[3].startswith("| **by hand** | numpy | fp32 |")
    assert "does not run: OSError" in lines[4]
    assert "3 interleaved rounds" in report.setting_line(content)
    [head, fp32_missing] = report.bars(content, content, clip_s=CLIPS[0])
    assert head == "0.1 s, 1 thread:"
    assert "best accurate sewd-fp32 against transformers" in fp32_missing


def test_accurate_is_a_law_of_two_numbers() -> None:
    def content(equal: float, increase: float) -> dict[str, Any]:
        errors = {"wer": 0.1, "transcripts_equal": equal, "wer_increase": increase}
        return {"variants": [{"name": "one", "errors": errors}]}

    assert report.is_accurate(content(0.97, 0.001), "one")
    assert not report.is_accurate(content(0.96, 0.0), "one")
    assert not report.is_accurate(content(1.0, 0.002), "one")
    assert not report.is_accurate(content(1.0, 0.0), "other")


def test_the_section_is_replaced_and_nothing_else() -> None:
    begin, end = "<!-- peers: written by `make bench` -->\n", "<!-- peers: end -->"
    once = report.replace_section(f"before\n{begin}old\n{end}\nafter\n", "peers", "new\n")
    assert once == f"before\n{begin}\nnew\n\n{end}\nafter\n"
    assert report.replace_section(once, "peers", "new\n") == once
    with pytest.raises(ValueError, match="results"):
        report.replace_section(once, "results", "new\n")


def test_greedy_transcript() -> None:
    tokens = ["<pad>", "A", "|", "B"]
    ids = [0, 1, 1, 0, 1, 2, 2, 3, 0, 0]
    assert parity.transcribe(np.eye(4, dtype=np.float32)[ids], tokens) == "AA B"
    assert parity.transcribe(np.zeros((0, 4), np.float32), tokens) == ""


def test_every_row_can_be_made_and_run() -> None:
    rule = (ROOT / "Makefile").read_text()
    variants = [*PEERS, *own_variants(("fp32", "fp16", "int8", "int8-static"))]
    assert len({one.name for one in variants}) == len(variants)
    for variant in variants:
        assert variant.artifact in {"checkpoint", *ARTIFACTS}
        assert hasattr(engines, variant.opener.removeprefix("benchmarks.peers.engines:"))
        assert environments_of(variant) <= set(ENVIRONMENTS)
    assert {one.engine for one in variants} == set(OPENERS)
    assert all(callable(getattr(make, row.maker)) for row in ARTIFACTS.values())
    assert all(f"{folder}/.installed:" in rule for name, folder in ENVIRONMENTS.items() if name != "main")
    for comparison in COMPARISONS.values():
        assert set(comparison.models) <= set(MODELS)


def test_ours_are_what_the_bundle_holds() -> None:
    assert [one.name for one in own_variants(["int8"])] == ["sewd-int8"]
    names = [one.name for one in own_variants(["fp32", "int8-static"])]
    assert names[:2] == ["sewd-fp32", "sewd-int8-static"]
    assert "sewd-int8-static-openvino-bf16" in names


def test_what_cannot_be_made_stays_in_the_table(tmp_path: Path) -> None:
    class Half(Workshop):
        def checkpoint(self, model: Model) -> Path:
            return tmp_path

        def artifact(self, model: Model, name: str) -> Path:
            if name in ("optimum", "ort-static"):
                raise PreparationError("no optimum")
            return tmp_path / "made/bundle.json"

    (tmp_path / "made").mkdir()
    (tmp_path / "made/bundle.json").write_text(json.dumps({"precisions": {"fp32": {}}}))
    (tmp_path / make.REFUSED).write_text(json.dumps({"int8": "too far"}))
    settings = driver.Settings(patterns=("optimum*", "sewd-*"))
    run = driver.prepare(COMPARISONS["digits"], settings, Half(folder=tmp_path))
    assert run.failed["optimum"] == run.failed["optimum-static-int8"] == "no optimum"
    assert run.failed["sewd-int8"] == "too far"
    assert set(run.failed) < set(run.entries)
    assert run.entries["sewd-fp32"].path == tmp_path / "made/model.fp32.onnx"
    assert not [name for name in run.entries if not name.startswith(("optimum", "sewd-"))]


def test_a_size_counts_the_weights_beside_the_graph(tmp_path: Path) -> None:
    for name, size in (("model.onnx", 1), ("model.onnx.data", 2), ("model.xml", 4), ("model.bin", 8)):
        (tmp_path / name).write_bytes(bytes(size))
    (tmp_path / "model.safetensors").write_bytes(bytes(16))
    assert [size_of(tmp_path / name) for name in ("model.onnx", "model.xml", ".")] == [3, 12, 16]


measured = pytest.mark.skipif(
    results.read(RESULTS, report.SPEED) is None, reason="benchmarks/results holds no comparison: make bench"
)


@measured
@pytest.mark.parametrize("name", report.DOCUMENTS)
def test_the_documents_are_what_the_results_say(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    markers, section_of = report.DOCUMENTS[name]
    assert report.replace_section(text, markers, section_of(RESULTS)) == text


@measured
def test_the_readme_shows_the_fastest_of_the_accurate_variants() -> None:
    speed, accurate = results.read(RESULTS, report.SPEED), results.read(RESULTS, report.ACCURACY)
    assert speed is not None
    assert accurate is not None
    for threads in ([1], [2], [1, 2]):
        best = report.fastest(speed, accurate, speed["variants"], threads=threads)
        assert best is not None
        assert report.is_accurate(accurate, best)

        def product(name: str, threads: list[int] = threads) -> float:
            rows = [row for row in speed["times"] if row["variant"] == name and row["threads"] in threads]
            return float(np.prod([row["median_s"] for row in rows if row["clip_s"] == report.CLIP_S]))

        others = [row["name"] for row in speed["variants"] if report.is_accurate(accurate, row["name"])]
        assert product(best) == min(map(product, others))
    assert report.fastest(speed, accurate, [], threads=[1]) is None


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.name)
def test_results_say_nothing_of_where_they_were_measured(path: Path) -> None:
    """What does not run says why, in the words of a library that names the file."""
    assert not re.search(r"(?<![\w.])/(home|root|work|tmp|Users)/", path.read_text(encoding="utf-8"))


@measured
@pytest.mark.parametrize(
    ("plot", "comparison"), [("peers_latency.svg", report.SPEED), ("peers_error.svg", report.ACCURACY)]
)
def test_the_plots_are_of_these_results(plot: str, comparison: str) -> None:
    drawn = (RESULTS / plot).read_text(encoding="utf-8")
    found = results.read(RESULTS, comparison)
    assert found is not None
    assert found["title"] in drawn
    assert all((f">{row['name']}<" in drawn) == ("failed" not in row) for row in found["variants"])
