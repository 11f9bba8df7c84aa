"""Law: what `sewd-export --triton` writes is served by a real Triton, with the answers of our runtime.

The onnxruntime backend is a stand-in that runs the model through onnxruntime (benchmarks/triton/backend.py);
the configurations, the server, its batching and the python backend are Triton's own.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.triton.server import Triton
from sewd_export.layouts.triton import write_triton
from sewd_runtime import Recognizer, as_json, load
from sewd_runtime.inference.session import pad
from tests.triton.conftest import ROOT, Ask
from tests.triton.engines import add_engine

Recordings = Sequence[NDArray[np.float32]]


@pytest.fixture(scope="module", params=["fp32", "int8"])
def recognizer(request: pytest.FixtureRequest, bundle: Path) -> Recognizer:
    model = load(bundle, precision=request.param)
    assert isinstance(model, Recognizer)
    return model


def counted(triton: Triton, name: str, model: str) -> int:
    """Return a counter of Triton's metrics."""
    text = httpx2.get(f"http://127.0.0.1:{triton.metrics}/metrics").text
    [value] = re.findall(rf'^{name}{{model="{model}",version="1"}} (\d+)', text, re.MULTILINE)
    return int(value)


def post(triton: Triton, model: str, **inputs: NDArray[Any]) -> httpx2.Response:
    """Ask over HTTP, in JSON."""
    data_types = {"float32": "FP32", "int64": "INT64", "float64": "FP64"}
    body = [
        {
            "name": name,
            "shape": array.shape,
            "datatype": data_types[str(array.dtype)],
            "data": array.ravel().tolist(),
        }
        for name, array in inputs.items()
    ]
    url = f"http://127.0.0.1:{triton.http}/v2/models/{model}/infer"
    return httpx2.post(url, json={"inputs": body}, timeout=60)


def test_the_graph_gives_our_logits(
    triton: Triton, ask: Ask, recognizer: Recognizer, recordings: Recordings, tmp_path: Path
) -> None:
    values, lengths = pad(recordings)
    np.savez(tmp_path / "in.npz", input_values=values, input_lengths=lengths[:, None])
    model = f"digits-{recognizer.network.precision}"
    ask("graph", triton.grpc, model, tmp_path / "in.npz", tmp_path / "out.npz")
    expected, frames = recognizer.network.session.run(values, lengths)
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_array_equal(found["output_lengths"], frames[:, None])
        for item, other, count in zip(found["logits"], expected, frames, strict=True):
            np.testing.assert_allclose(item[:count], other[:count], atol=1e-4)


def test_texts_and_words_are_ours(
    triton: Triton, ask: Ask, bundle: Path, recordings: Recordings, tmp_path: Path
) -> None:
    several = [recording[: len(recording) - 160 * cut] for cut in range(4) for recording in recordings]
    bad = np.full(16_000, np.nan, np.float32)
    np.savez(tmp_path / "in.npz", *several, bad)
    before = counted(triton, "nv_inference_exec_count", "digits")
    *answers, refused = ask("speech", triton.grpc, "digits", tmp_path / "in.npz")
    model = Recognizer.load(bundle, precision="fp32")
    for answer, samples in zip(answers, several, strict=True):
        expected = model.transcribe(samples)
        assert answer["text"] == expected.text
        assert_alike(answer["transcript"], as_json(expected))
    assert "NaN" in refused["error"]
    runs = counted(triton, "nv_inference_exec_count", "digits") - before
    assert runs < len(several) / 2  # unequal lengths were batched


def assert_alike(one: str, other: str) -> None:
    """Compare two transcripts, confidences to float rounding."""
    number = re.compile(r"\d+\.\d+")
    assert number.sub("#", one) == number.sub("#", other.rstrip("\n"))
    found, expected = ([float(each) for each in number.findall(text)] for text in (one, other))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_several_recordings_of_equal_length_are_one_request(
    triton: Triton, bundle: Path, recordings: Recordings
) -> None:
    length = min(map(len, recordings))
    batch = np.stack([recording[:length] for recording in recordings])
    outputs = post(triton, "digits", samples=batch).json()["outputs"]
    [texts] = [output["data"] for output in outputs if output["name"] == "text"]
    model = Recognizer.load(bundle)
    assert texts == [model.transcribe(samples).text for samples in batch]


SECOND = np.zeros((1, 16_000), np.float32)


@pytest.mark.parametrize(
    ("model", "inputs", "message"),
    [
        ("digits", {"samples": SECOND[:, :0]}, "holds no samples"),
        ("digits", {"samples": SECOND.astype(np.float64)}, "FP64"),
        ("digits", {"samples": SECOND.repeat(9, axis=0)}, "batch-size must be <= 8"),
        ("digits", {"samples": SECOND[0]}, "batch-size must be <= 8"),
        ("digits", {"input_values": SECOND}, "input_values"),
        ("digits-fp32", {"input_values": SECOND}, "input_lengths"),
        ("digits-fp32", {"input_values": SECOND, "input_lengths": np.array([16_000])}, "input_lengths"),
        ("digits-fp32", {"input_values": SECOND, "input_lengths": np.array([[1, 2]])}, "input_lengths"),
        ("digits-bf16", {"input_values": SECOND}, "unknown model"),
    ],
)
def test_bad_input_is_refused_and_the_next_request_answered(
    triton: Triton, model: str, inputs: dict[str, NDArray[Any]], message: str
) -> None:
    refused = post(triton, model, **inputs)
    assert 400 <= refused.status_code < 600
    assert message in refused.json()["error"]
    assert post(triton, "digits", samples=SECOND).status_code == 200


def test_a_model_is_renamed_and_takes_other_arguments_of_load(
    triton: Triton, bundle: Path, recordings: Recordings
) -> None:
    outputs = post(triton, "renamed", samples=recordings[0][None]).json()["outputs"]
    [transcript] = [output["data"][0] for output in outputs if output["name"] == "transcript"]
    model = Recognizer.load(bundle, precision="int8", threads=1)
    assert_alike(transcript, as_json(model.transcribe(recordings[0])))


def test_triton_reads_the_configuration_of_engines(ask: Ask, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(ROOT / "tests/data/tiny", tmp_path / "tiny"))
    add_engine(bundle, "tensorrt", "8.9", 16, 4)
    repository = write_triton(bundle, tmp_path / "repository")
    config = ask("config", repository / "tiny-fp32-tensorrt/config.pbtxt")
    assert config["ccModelFilenames"] == {"8.9": "sm8.9.plan"}
    assert config["instanceGroup"] == [{"count": 1, "kind": "KIND_GPU", "profile": ["0", "1"]}]
    assert config["maxBatchSize"] == 4
