"""Laws of ``sewd bench``; none of them asserts a time."""

from __future__ import annotations

import copy
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sewd_runtime import load
from sewd_runtime.bench import cases, plot, run
from sewd_runtime.bench.cases import Plan, Speech, batch_method, make_cases
from sewd_runtime.bench.fresh import Request, run_fresh
from sewd_runtime.bench.measure import idle_share, interleave, summarize
from sewd_runtime.bench.report import as_table
from sewd_runtime.bench.run import Target, run_benchmark
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.cli import main
from sewd_runtime.encoder import Encoder
from sewd_runtime.errors import AudioTooShortError, InferenceError, MissingPackageError
from sewd_runtime.inference.golden import read_golden
from sewd_runtime.inference.network import Network
from sewd_runtime.recognizer import Recognizer
from sewd_runtime.system.hashing import sha256_of
from sewd_runtime.text.transcript import Classification

Capture = pytest.CaptureFixture[str]
Document = dict[str, Any]

PLAN = Plan(seconds=(0.5, 1.0), threads=(1,), batches=(1, 2), rounds=2)
TIMINGS = ["min_s", "p50_s", "p90_s", "spread", "rounds_s"]
CASE = ["kind", "threads", "clips", "seconds", *TIMINGS, "rtf", "audio_per_s"]
PARTS = ["python_s", "import_s", "load_s", "first_s"]
KEYS = {
    "": [
        "version",
        "machine",
        "versions",
        "bundle",
        "method",
        "latency",
        "batches",
        "cold_start",
        "peak_memory",
        "idle_share",
    ],
    "machine": [
        "processor",
        "architecture",
        "cores",
        "cores_total",
        "memory_bytes",
        "os",
        "python",
        "load_before",
    ],
    "bundle": [
        "name",
        "task",
        "sha256",
        "precision",
        "provider",
        "model_bytes",
        "bundle_bytes",
        "precisions",
    ],
    "cold_start": [*PARTS, "total_s"],
}


@pytest.fixture(scope="module")
def document(tiny_bundle: Path) -> Document:
    """One short benchmark of the tiny bundle, which the tests of this file share."""
    return run_benchmark(Target(path=tiny_bundle), PLAN)


def all_timings(document: Document) -> list[Document]:
    return [*document["latency"], *document["batches"], *document["cold_start"].values()]


def test_keys_are_stable(document: Document) -> None:
    assert document["version"] == run.DOCUMENT_VERSION == 1
    for place, keys in KEYS.items():
        assert list(document[place] if place else document) == keys
    assert all(list(case) == CASE for case in (*document["latency"], *document["batches"]))
    assert all(list(part) == TIMINGS for part in document["cold_start"].values())
    assert all(list(peak) == ["seconds", "peak_bytes"] for peak in document["peak_memory"])


def test_every_case_is_there_once(document: Document) -> None:
    assert [case["seconds"] for case in document["latency"]] == list(PLAN.seconds)
    batches = [(case["clips"], case["kind"]) for case in document["batches"]]
    assert batches == list(itertools.product(PLAN.batches, ("one_run", "planned")))
    assert [peak["seconds"] for peak in document["peak_memory"]] == list(PLAN.seconds)
    assert document["method"]["rounds"] == PLAN.rounds


def test_batches_take_the_most_threads(tiny_bundle: Path) -> None:
    model = load(tiny_bundle, threads=1)
    planned = [case for case, _ in make_cases(PLAN, {1: model, 4: model}, Speech(model.network.bundle))]
    assert len(set(planned)) == len(planned)
    latency = [(case.threads, case.seconds) for case in planned if case.kind == "latency"]
    assert latency == list(itertools.product((1, 4), PLAN.seconds))
    assert {case.threads for case in planned if case.kind != "latency"} == {4}


def test_figures_follow_from_the_rounds(document: Document) -> None:
    for timings in all_timings(document):
        assert len(timings["rounds_s"]) == PLAN.rounds
        assert 0 < min(timings["rounds_s"]) == timings["min_s"] <= timings["p50_s"] <= timings["p90_s"]
        assert timings["spread"] == pytest.approx((timings["p90_s"] - timings["min_s"]) / timings["p50_s"])
    for case in (*document["latency"], *document["batches"]):
        assert case["rtf"] == pytest.approx(case["p50_s"] / case["seconds"])
        assert case["audio_per_s"] == pytest.approx(1 / case["rtf"])
    parts = [document["cold_start"][part]["rounds_s"] for part in (*PARTS, "total_s")]
    for *each, total in zip(*parts, strict=True):
        assert total == pytest.approx(sum(each))


def test_the_model_is_named(document: Document, tiny_bundle: Path) -> None:
    bundle = document["bundle"]
    assert bundle["sha256"] == sha256_of(tiny_bundle / "bundle.json")
    assert (bundle["precision"], bundle["provider"]) == ("fp32", "cpu")
    assert bundle["model_bytes"] == (tiny_bundle / "model.fp32.onnx").stat().st_size
    assert bundle["bundle_bytes"] == sum(path.stat().st_size for path in tiny_bundle.iterdir())
    assert set(document["versions"]) >= {"sewd", "numpy", "onnxruntime"}
    assert 1 <= document["machine"]["cores"] <= document["machine"]["cores_total"]


def test_it_is_json_that_names_no_path(document: Document, tiny_bundle: Path) -> None:
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text) == document
    assert str(tiny_bundle.parent) not in text


def test_memory_is_that_of_the_process(document: Document) -> None:
    floor = document["bundle"]["model_bytes"]
    assert all(peak["peak_bytes"] is None or peak["peak_bytes"] > floor for peak in document["peak_memory"])
    code = (
        "from sewd_runtime.system.machine import peak_memory_bytes as peak\n"
        "before = peak()\n"
        "print(before and peak() - before, before and bytearray(b'1') * 2**26 and peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    idle, grown = done.stdout.split()
    assert idle == "None" or int(idle) < 2**25 < int(grown) < 2**27


def test_the_table_has_a_line_for_every_figure(document: Document) -> None:
    rows = [line.split() for line in as_table(document).splitlines()]
    for case in document["latency"]:
        shown = [f"{1e3 * case[name]:.1f}" for name in ("min_s", "p50_s", "p90_s")]
        assert any(row[:5] == [str(case["threads"]), f"{case['seconds']:g}", *shown] for row in rows)
        assert any(row[-1:] == [f"{case['rtf']:.4f}"] for row in rows)
    for case in document["batches"]:
        assert any(row[:1] == [str(case["clips"])] and f"{case['audio_per_s']:.1f}" in row for row in rows)
    for part in document["cold_start"].values():
        assert any(row[:1] == ["p50"] and f"{1e3 * part['p50_s']:.1f}" in row for row in rows)
    for peak in document["peak_memory"]:
        assert [f"{peak['seconds']:g}", f"{1e-6 * peak['peak_bytes']:.1f}"] in rows
    assert ["latency:", "one", "clip,"] in [row[:3] for row in rows]
    assert max(map(len, as_table(document).splitlines())) <= 110


def test_the_table_says_what_is_unknown(document: Document) -> None:
    unknown = copy.deepcopy(document)
    unknown["machine"] |= {"memory_bytes": None, "load_before": None}
    unknown["peak_memory"] = [{"seconds": 1.0, "peak_bytes": None}]
    assert ["1", "unknown"] in [line.split() for line in as_table(unknown).splitlines()]


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=20))
def test_percentiles_are_in_order(rounds_s: list[float]) -> None:
    timings = summarize(rounds_s)
    assert min(rounds_s) == timings["min_s"] <= timings["p50_s"] * (1 + 1e-12)
    assert timings["p50_s"] <= timings["p90_s"] * (1 + 1e-12)
    assert timings["p90_s"] <= max(rounds_s) * (1 + 1e-12)
    assert timings["spread"] >= -1e-12


def test_a_round_holds_every_case_once() -> None:
    order: list[int] = []

    def work(key: int) -> int:
        order.append(key)
        return len(order)

    results = interleave({key: lambda key=key: work(key) for key in range(7)}, rounds=20)
    rounds = [tuple(order[start : start + 7]) for start in range(0, len(order), 7)]
    assert all(sorted(each) == list(range(7)) for each in rounds)
    assert len(rounds) == 20
    assert len(set(rounds)) > 10
    for key, values in results.items():
        assert [order[value - 1] for value in values] == [key] * 20


def test_clips_are_the_golden_utterance_repeated(tiny_bundle: Path) -> None:
    bundle = open_bundle(tiny_bundle)
    golden, _ = read_golden(bundle)
    speech = Speech(bundle)
    for seconds in (0.5, 7.3, 30):
        clip = speech.clip(seconds)
        assert (clip.dtype, clip.shape) == (np.float32, (round(seconds * 16_000),))
        np.testing.assert_array_equal(clip, golden[np.arange(len(clip)) % len(golden)])
        shifted = speech.clip(seconds, start=100)
        np.testing.assert_array_equal(shifted, golden[(np.arange(len(clip)) + 100) % len(golden)])
    shortest = bundle.manifest.min_samples / 16_000
    assert len(speech.clip(shortest)) == bundle.manifest.min_samples
    with pytest.raises(AudioTooShortError, match="too short a clip"):
        speech.clip(shortest / 2)


def test_a_larger_batch_begins_with_a_smaller_one(tiny_bundle: Path) -> None:
    speech = Speech(open_bundle(tiny_bundle))
    large = speech.batch(16)
    shortest, longest = (seconds * 16_000 for seconds in cases.BATCH_SECONDS)
    assert all(shortest <= len(clip) <= longest for clip in large)
    for clips in (1, 2, 4, 8):
        for one, other in zip(speech.batch(clips), large, strict=False):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("cores", "counts"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (8, (1, 2, 4, 8))])
def test_thread_counts(cores: int, counts: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "available_cores", lambda: cores)
    assert Plan().thread_counts == counts
    assert Plan(threads=(4, 1, 4)).thread_counts == (1, 4)


def test_every_task_is_measured(tiny_bundle: Path, numpy_network: Any) -> None:
    classifier = load(tiny_bundle.with_name("tiny-classifier"), threads=1)
    speech = Speech(classifier.network.bundle)
    [classification] = batch_method(classifier, [speech.clip(1)])()  # type: ignore[misc]
    assert isinstance(classification, Classification)
    for case, work in make_cases(PLAN, {1: classifier}, speech):
        assert case.threads == 1
        assert work() is not None
    encoder = Encoder(network=numpy_network("encoding"))
    [states] = batch_method(encoder, [speech.clip(1)])()  # type: ignore[misc]
    assert states.shape == (49, 32)


def test_a_fresh_process_that_fails_says_why(tmp_path: Path) -> None:
    request = Request(model=str(tmp_path), precision="fp32", provider="cpu", threads=1, seconds=1.0)
    with pytest.raises(InferenceError, match=r"fresh process that runs 1 s ended with 1: .*not a bundle"):
        run_fresh(request)


def test_an_idle_recognizer_uses_no_cpu(tiny_bundle: Path) -> None:
    model = Recognizer.load(tiny_bundle, threads=2)
    shares = []
    for _ in range(3):  # another thread of the tests may wake once
        model.transcribe(np.zeros(16_000, np.float32))
        shares.append(idle_share(0.1))
    assert min(shares) < 0.05  # threads that spin take 0.3 and more


@pytest.fixture
def stand_in(document: Document, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Target, Plan]]:
    """Answer every benchmark with the document there is; remember what was asked for."""
    asked: list[tuple[Target, Plan]] = []
    monkeypatch.setattr(run, "run_benchmark", lambda *what: asked.append(what) or document)
    return asked


def test_defaults(stand_in: list[tuple[Target, Plan]], document: Document, capsys: Capture) -> None:
    assert main(["bench"]) == 0
    assert stand_in == [(Target(), Plan())]
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (as_table(document), "")


def test_options(
    stand_in: list[tuple[Target, Plan]], document: Document, tmp_path: Path, capsys: Capture
) -> None:
    arguments = "--precision int8 --provider openvino --threads 2,1 --seconds 10,0.5 --batches 4 --rounds 3"
    assert main(["bench", "my-bundle", *arguments.split(), "-o", str(tmp_path / "bench.json")]) == 0
    plan = Plan(seconds=(0.5, 10.0), threads=(1, 2), batches=(4,), rounds=3)
    assert stand_in == [(Target(path="my-bundle", precision="int8", provider="openvino"), plan)]
    assert json.loads((tmp_path / "bench.json").read_text()) == document
    assert capsys.readouterr().out == as_table(document)


@pytest.mark.usefixtures("stand_in")
def test_json_to_stdout_is_json_alone(document: Document, capsys: Capture) -> None:
    assert main(["bench", "--json"]) == 0
    captured = capsys.readouterr()
    assert (json.loads(captured.out), captured.err) == (document, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--seconds", "two"],
        ["--seconds", "1,,2"],
        ["--seconds", "-1"],
        ["--seconds", "0"],
        ["--seconds", "nan"],
        ["--seconds", "inf"],
        ["--threads", "0"],
        ["--threads", "1,1.5"],
        ["--batches", "-2"],
        ["--rounds", "0"],
        ["--provider", "tpu"],
        ["--output", "no/such/folder/bench.json"],
        ["--output", "bench.txt"],
    ],
)
def test_wrong_usage(arguments: list[str], stand_in: list[Any], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["bench", *arguments])
    assert exit_.value.code == 2
    assert f"{arguments[0]}: " in capsys.readouterr().err
    assert not stand_in


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--precision", "fp7"], "fp7"),
        (["--seconds", "0.001"], "0.001 s is too short"),
    ],
)
def test_an_unfit_request(tiny_bundle: Path, arguments: list[str], words: str, capsys: Capture) -> None:
    assert main(["bench", str(tiny_bundle), "--threads", "1", *arguments]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("sewd: ")
    assert words in captured.err


def test_a_plot_without_matplotlib(
    stand_in: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["bench", "--output", str(tmp_path / "bench.png")]) == 3
    assert "pip install 'sewd[plot]'" in capsys.readouterr().err
    assert not stand_in
    with pytest.raises(MissingPackageError):
        plot.find_matplotlib("plot")


@pytest.mark.usefixtures("stand_in")
def test_a_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs sewd[plot]")
    assert main(["bench", "--output", str(tmp_path / "bench.png")]) == 0
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_precisions_are_loaded_as_asked(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    real = Network.open

    def remember(*arguments: Any, **options: Any) -> Network:
        opened.append(options)
        return real(*arguments, **options)

    monkeypatch.setattr(Network, "open", remember)
    Target(path=tiny_bundle, precision="fp32").load(2)
    [asked] = opened
    assert asked.items() >= {"precision": "fp32", "provider": "cpu", "threads": 2}.items()
