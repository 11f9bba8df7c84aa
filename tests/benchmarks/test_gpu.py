"""The benchmark for GPUs runs to its end on a CPU: the same code on narrow models; nothing is timed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

from benchmarks.gpu.__main__ import main  # noqa: E402
from benchmarks.gpu.jobs import Benchmark  # noqa: E402
from benchmarks.gpu.measure import Settings  # noqa: E402
from benchmarks.parity import compare  # noqa: E402

NEEDS_GPU = ("onnxruntime graphs fp32", "torch graphs fp16", "tensorrt fp16", "tensorrt-engine fp16")
RUN = ("torch fp32", "torch fp16", "onnxruntime fp32", "onnxruntime fp16", "onnxruntime int8-static")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    return tmp_path_factory.mktemp("gpu")


def call(folder: Path, *more: str) -> int:
    work, out = folder / "work", folder / "gpu.json"
    arguments = ["--device", "cpu", "--smoke", "--work", str(work), "--out", str(out), *more]
    return main([*arguments, "--variants", *RUN, *NEEDS_GPU])


@pytest.fixture(scope="module")
def rows(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    assert call(folder) == 0
    content = json.loads((folder / "gpu.json").read_text())
    assert content["device"] == "cpu"
    assert content["machine"]["gpu"] is None
    return {(row["model"], row["variant"]): row for row in content["rows"]}


def test_every_variant_has_figures_or_says_why_not(rows: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert {variant for model, variant in rows if model == "smoke"} == {*RUN, *NEEDS_GPU}
    ours = ("onnxruntime", "tensorrt")
    assert not [variant for model, variant in rows if model == "smoke-wav2vec2" and variant.startswith(ours)]
    for (model, variant), row in rows.items():
        if variant in NEEDS_GPU:
            assert row["failed"], variant
            continue
        assert "failed" not in row, (model, variant, row)
        assert {(time["batch"], time["clip_s"]) for time in row["times"]} == {(1, 0.5), (1, 1.0), (2, 1.0)}
        assert all(0 < time["p50_ms"] <= time["p90_ms"] for time in row["times"])


def test_parity_is_against_torch_on_the_same_device(rows: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert rows["smoke", "torch fp32"]["parity"]["max_abs"] == 0
    for precision in ("fp32", "fp16", "int8-static"):
        parity = rows["smoke", f"onnxruntime {precision}"]["parity"]
        assert parity["within"], parity
        assert parity["max_abs"] > 0
    assert rows["smoke", "onnxruntime fp32"]["parity"]["equal_transcripts"] == 9


def test_plots_are_drawn(folder: Path, rows: dict[tuple[str, str], dict[str, Any]]) -> None:
    pytest.importorskip("matplotlib")
    assert (folder / "gpu_latency.svg").read_text().count("<svg") == 1


def test_what_is_done_is_not_done_again(
    folder: Path, rows: dict[tuple[str, str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (folder / "gpu.json").read_bytes()
    monkeypatch.setattr(Benchmark, "_measure", lambda *_: pytest.fail("it was measured again"))
    assert call(folder) == 0
    assert (folder / "gpu.json").read_bytes() == before


def test_no_job_begins_when_the_time_is_over(folder: Path, tmp_path: Path) -> None:
    assert call(tmp_path, "--budget", "0") == 3
    assert not (tmp_path / "gpu.json").exists()


def test_a_job_begins_only_where_it_fits(tmp_path: Path) -> None:
    import time

    benchmark = Benchmark(
        work=tmp_path,
        file=tmp_path / "gpu.json",
        device="cpu",
        settings=Settings(),
        ends_s=time.monotonic() + 100,
    )
    for longest_s, fits in ((0, True), (60, True), (70, False)):
        benchmark.longest_s = longest_s
        assert benchmark._has_time() is fits


def test_parity_sees_errors_labels_and_texts() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 1, 1, 0, 2]]
    same = compare({"a": logits}, {"a": logits})
    assert same == {
        "max_abs": 0,
        "relative": 0,
        "label_agreement": 1,
        "equal_transcripts": 1,
        "utterances": 1,
    }
    repeated = np.eye(3, dtype=np.float32)[[0, 0, 1, 0, 2]]  # another frame, the same text
    found = compare({"a": repeated}, {"a": logits})
    assert (found["label_agreement"], found["equal_transcripts"], found["max_abs"]) == (0.8, 1, 1)
    for bad in (logits[:4], logits * np.float32("nan")):
        with pytest.raises(ValueError, match="a: logits"):
            compare({"a": bad}, {"a": logits})
