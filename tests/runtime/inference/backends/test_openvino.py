"""Laws of OpenVINO; skipped if the openvino package is not installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sewd_runtime import load
from sewd_runtime.bundle.folder import Bundle, open_bundle
from sewd_runtime.cli import main
from sewd_runtime.errors import InferenceError, ModelError, PrecisionError
from sewd_runtime.inference.backends import Options
from sewd_runtime.inference.backends.buckets import padded_length
from sewd_runtime.inference.backends.openvino import backend as openvino_backend
from sewd_runtime.inference.golden import check_golden
from sewd_runtime.inference.network import Network
from sewd_runtime.inference.session import Session, pad
from sewd_runtime.inference.variants import find_variant, find_variants

if importlib.util.find_spec("openvino") is None:  # not importorskip: a plain import reports over the network
    pytest.skip("openvino is not installed: pip install 'sewd[openvino]'", allow_module_level=True)

CLASSIFIER = Path(__file__).parents[3] / "data" / "tiny-classifier"
ENGINES = {"fp32": "network", "bf16": "bf16", "int8-static": "static", "int8-static+bf16": "static_bf16"}
LENGTHS = (400, 401, 479, 480, 719, 960, 1_040, 5_001, 15_999, 16_001, 30_000)


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return open_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def network(bundle: Bundle) -> Network:
    return Network.open(bundle, provider="openvino", threads=1)


@pytest.fixture(scope="module")
def bf16(bundle: Bundle) -> Network:
    return open_bf16(bundle, "bf16")


@pytest.fixture(scope="module")
def static(bundle: Bundle) -> Network:
    return Network.open(bundle, provider="openvino", precision="int8-static", threads=1)


@pytest.fixture(scope="module")
def static_bf16(bundle: Bundle) -> Network:
    return open_bf16(bundle, "int8-static+bf16")


def open_bf16(bundle: Bundle, precision: str) -> Network:
    try:
        return Network.open(bundle, provider="openvino", precision=precision, threads=1)
    except PrecisionError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def utterances() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, length).astype(np.float32) for length in LENGTHS]


@pytest.fixture(scope="module")
def expected(bundle: Bundle, utterances: list[np.ndarray]) -> list[np.ndarray]:
    """onnxruntime's output for each utterance alone."""
    reference = Network.open(bundle, threads=1)
    return [reference.run_frames([samples])[0] for samples in utterances]


def check(network: Network, found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    allowed = find_variant(network.manifest, "openvino", network.precision).tolerance
    for output, reference in zip(found, expected, strict=True):
        assert output.shape == reference.shape
        assert output.dtype == np.float32
        difference = output - reference
        assert np.abs(difference).max() <= allowed.max_abs
        assert np.linalg.norm(difference) <= allowed.relative * np.linalg.norm(reference)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8-static", "int8-static+bf16"])
def test_every_length_gives_what_onnxruntime_gives(
    precision: str, request: pytest.FixtureRequest, utterances: list[np.ndarray], expected: list[np.ndarray]
) -> None:
    network = request.getfixturevalue(ENGINES[precision])
    check(network, [network.run_frames([samples])[0] for samples in utterances], expected)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8-static", "int8-static+bf16"])
def test_a_batch_equals_its_items(
    precision: str, request: pytest.FixtureRequest, utterances: list[np.ndarray]
) -> None:
    network = request.getfixturevalue(ENGINES[precision])
    allowed = find_variant(network.manifest, "openvino", precision).tolerance.batch_error
    output, lengths = network.session.run(*pad(utterances))
    assert output.shape[1] == lengths.max()
    for samples, item, length in zip(utterances, output, lengths, strict=True):
        alone = network.run_frames([samples])[0]
        assert np.abs(item[:length] - alone).max() <= allowed * max(1, np.abs(alone).max())


def test_every_variant_reproduces_the_golden_utterance(bundle: Bundle) -> None:
    for name in find_variants(bundle.manifest, "openvino"):
        assert check_golden(bundle, name, provider="openvino", threads=1).passed


def test_a_classifier() -> None:
    assert check_golden(open_bundle(CLASSIFIER), "fp32", provider="openvino", threads=1).passed


@pytest.mark.parametrize("precision", ["fp32", "int8-dynamic"])
def test_the_embedded_model(precision: str) -> None:
    from sewd_runtime.bundle.folder import find_bundle

    assert check_golden(find_bundle(None), precision, provider="openvino", threads=1).passed


def test_it_needs_no_onnxruntime(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # importing it fails
    network = load(tiny_bundle, provider="auto", threads=1).network
    assert (network.session.provider, network.precision) == ("openvino", "fp32")


def test_fp32_and_bf16_are_computed_as_named(network: Network, bf16: Network) -> None:
    samples = [np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32)]
    difference = np.abs(network.run_frames(samples)[0] - bf16.run_frames(samples)[0]).max()
    assert difference > find_variant(network.manifest, "openvino", "fp32").tolerance.max_abs


@pytest.mark.parametrize("compute", ["f32", "bf16"])
def test_matmuls_with_constant_scales_run_in_int8(
    compute: str, bundle: Bundle, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("static" if compute == "f32" else "static_bf16")  # skips if the CPU has no bf16
    options = Options(device="CPU", compute=compute, threads=1)
    model = openvino_backend.open_model(bundle.path_of("model.int8-static.onnx"), options)
    compiled = model.compiled.get_runtime_model()
    executed = [
        {key: str(value.value) for key, value in op.get_rt_info().items()} for op in compiled.get_ops()
    ]
    matmuls = [op for op in executed if op.get("layerType") in ("FullyConnected", "MatMul")]
    rounded = [op for op in matmuls if "/product" in op["originalLayersNames"]]
    assert len(rounded) >= 11
    assert {op["runtimePrecision"] for op in rounded} <= {"i8", "u8"}
    assert not [op for op in executed if op.get("layerType") == "FakeQuantize"]


def test_a_cpu_without_bf16_is_an_error(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    core = SimpleNamespace(available_devices=["CPU"], get_property=lambda *_: ["FP32", "INT8"])
    monkeypatch.setattr(openvino_backend, "import_openvino", lambda: SimpleNamespace(Core=lambda: core))
    with pytest.raises(PrecisionError, match="does not compute in bf16; choose fp32"):
        Network.open(bundle, provider="openvino", precision="bf16")


def test_another_type_is_not_substituted(bundle: Bundle) -> None:
    path = bundle.path_of("model.fp32.onnx")
    with pytest.raises(PrecisionError, match="f16"):
        Session.open(path, task="ctc", provider="openvino", options=Options(device="CPU", compute="f16"))


@pytest.mark.parametrize("shortest", [0, 16_000])
def test_lengths_are_padded_to_few(shortest: int) -> None:
    lengths = range(1, 960_001, 37)  # a minute
    padded = [padded_length(length, shortest=shortest) for length in lengths]
    assert padded == sorted(padded)
    assert len(set(padded)) < 70
    for length, longer in zip(lengths, padded, strict=True):
        assert longer >= length
        assert padded_length(longer, shortest=shortest) == longer
        assert length < 16_000 or longer <= 1.125 * length
    for seconds in (1, 2, 5, 10, 30):
        assert padded_length(16_000 * seconds, shortest=shortest) == 16_000 * seconds
    assert padded_length(8_001) == 9_000
    assert padded_length(0) == 0


def test_results_outlive_the_next_run(network: Network) -> None:
    loud, soft = (np.full((1, 16_000), level, np.float32) for level in (0.5, 0.0))
    loud[0, ::7] = 0
    first, _ = network.session.run(loud, np.array([16_000]))
    kept = first.copy()
    network.session.run(soft, np.array([16_000]))
    np.testing.assert_array_equal(first, kept)


def test_threads_share_a_session(network: Network, utterances: list[np.ndarray]) -> None:
    batches = [pad([samples]) for samples in utterances]
    alone = [network.session.run(*batch)[0] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda batch: network.session.run(*batch)[0], batches * 3))
    for one, other in zip(alone * 3, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_not_a_model(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"openvino [\d.]+ refuses it"):
        Session.open(tmp_path / "model.onnx", task="ctc", provider="openvino")
    assert capfd.readouterr().err == ""  # raised, not printed as well


def test_an_unknown_operator(bundle: Bundle, tmp_path: Path) -> None:
    content = bundle.path_of("model.fp32.onnx").read_bytes()
    (tmp_path / "model.onnx").write_bytes(content.replace(b"LayerNormalization", b"LayerNormalizatiom"))
    with pytest.raises(ModelError, match="LayerNormalizatiom"):
        Session.open(tmp_path / "model.onnx", task="ctc", provider="openvino")


def test_a_model_for_another_task(bundle: Bundle) -> None:
    with pytest.raises(ModelError, match="outputs are"):
        Session.open(bundle.path_of("model.fp32.onnx"), task="encoding", provider="openvino")


def test_a_failing_run_is_our_error(network: Network) -> None:
    for values, lengths in (
        (np.zeros((1, 2_000), np.float32), np.array([2_000, 2_000])),
        (np.zeros((1, 2_000), np.float32), np.array([[2_000]])),
        (np.zeros((1, 2_000), np.complex64), np.array([2_000])),
    ):
        with pytest.raises(InferenceError, match=r"openvino [\d.]+ failed on a batch of 1x2000 samples"):
            network.session.run(values, lengths)
    assert network.run_frames([np.zeros(2_000, np.float32)])[0].shape[0] == 25


def test_the_command_takes_a_provider(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tiny_bundle), "--provider", "openvino", "--precision", "fp32"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.endswith("ok")] == ["fp32"]


def test_using_it_reports_nothing_and_leaves_nothing(tiny_bundle: Path, tmp_path: Path) -> None:
    code = (
        "import sys, threading\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, _: opened.append(event) if event.startswith('socket') else None)\n"
        "import numpy, sewd_runtime\n"
        f"model = sewd_runtime.load({str(tiny_bundle)!r}, provider='openvino', threads=1)\n"
        "model.transcribe(numpy.zeros(16000, 'float32'))\n"
        "print(opened, threading.active_count())\n"
        "print([name for name in sys.modules if name.startswith(('openvino_telemetry', 'torch', 'onnx'))])\n"
    )
    environment = {"HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[] 1\n[]\n"
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_outputs_keep_their_names_where_compiling_drops_their_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head without bias adds zeros, and the compiled output has the matmul's name as well."""
    ov = openvino_backend.import_openvino()
    ops = ov.opset8
    values = ops.parameter([-1, -1], ov.Type.f32, name="input_values")
    matmul = ops.relu(ops.unsqueeze(values, np.array([2])))
    matmul.output(0).set_names({"a head"})
    logits = ops.add(matmul, np.zeros(1, np.float32))
    logits.output(0).set_names({"logits"})
    model = ov.Model([logits], [values])
    monkeypatch.setattr(openvino_backend, "read_onnx", lambda _: model)
    opened = openvino_backend.open_model(
        Path("model.onnx"), Options(device="CPU", settings={}, compute="f32", threads=1)
    )
    assert [tensor.name for tensor in opened.outputs] == ["logits"]
