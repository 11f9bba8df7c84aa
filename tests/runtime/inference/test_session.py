from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.errors import InferenceError, ModelError, PrecisionError, ProviderError
from sewd_runtime.inference.backends import Options
from sewd_runtime.inference.backends.onnxruntime.backend import check_device, session_entries
from sewd_runtime.inference.network import Network
from sewd_runtime.inference.providers import PROVIDERS, find_provider
from sewd_runtime.inference.session import Session, pad
from sewd_runtime.system import machine
from sewd_runtime.system.packages import find_conflicts


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> Path:
    return open_bundle(tiny_bundle).path_of("model.fp32.onnx")


def test_an_unknown_provider_names_the_others() -> None:
    with pytest.raises(ProviderError, match="'gpu'; an NVIDIA GPU is 'cuda'; installed here: cpu"):
        find_provider("gpu")


def remedy(name: str) -> str:
    extra, package = PROVIDERS[name].extra, PROVIDERS[name].package
    if extra and list(find_conflicts()) == [package]:
        return f"pip install --force-reinstall --no-deps {package}"
    return rf"pip install 'sewd\[{extra}\]'" if extra else "no package has it; build"


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_absent_library_names_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = PROVIDERS[name].backend
    monkeypatch.setitem(sys.modules, backend.NAME, None)  # importing it fails
    with pytest.raises(ProviderError, match=rf"'{name}' needs {backend.NAME}: .*{remedy(name)}"):
        find_provider(name)


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_absent_device_names_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = PROVIDERS[name]
    monkeypatch.setattr(row.backend, "devices", lambda: ["Other"])
    said = "it needs macOS" if name == "coreml" and "onnxruntime" in find_conflicts() else remedy(name)
    with pytest.raises(ProviderError, match=rf"{row.device}.*only Other.*{said}"):
        find_provider(name)


def test_no_silent_fall_back() -> None:
    wanted = PROVIDERS["cpu"].device
    check_device(wanted, [wanted, "Other"])
    for active in (["Other"], ["Other", wanted], []):
        with pytest.raises(ProviderError, match="left"):
            check_device(wanted, active)


def test_an_unknown_provider_is_refused_when_loading(model: Path) -> None:
    with pytest.raises(ProviderError):
        Session.open(model, task="ctc", provider="tpu")


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_are_counted_from_one(model: Path, threads: int) -> None:
    with pytest.raises(ProviderError, match="at least 1"):
        Session.open(model, task="ctc", options=Options(device=PROVIDERS["cpu"].device, threads=threads))


def test_not_a_model(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match="refuses"):
        Session.open(tmp_path / "model.onnx", task="ctc")


@pytest.mark.parametrize("task", ["classification", "encoding"])
def test_a_model_for_another_task(model: Path, task: str) -> None:
    with pytest.raises(ModelError, match="outputs are"):
        Session.open(model, task=task)


def test_a_failing_run_is_our_error(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InferenceError, match="1x2 samples"):
        Session.open(model, task="ctc").run(np.zeros((1, 2), np.float32), np.array([[2]]))
    assert capfd.readouterr().err == ""  # raised, not printed as well


def test_pad() -> None:
    values, lengths = pad([np.ones(3, np.float32), np.full(1, 2, np.float32), np.zeros(0, np.float32)])
    assert values.tolist() == [[1, 1, 1], [2, 0, 0], [0, 0, 0]]
    assert lengths.tolist() == [3, 1, 0]
    assert (values.dtype, lengths.dtype) == (np.float32, np.int64)


def test_threads_share_a_session(model: Path, recordings: list[np.ndarray]) -> None:
    session = Session.open(model, task="ctc", options=Options(device=PROVIDERS["cpu"].device, threads=1))
    batches = [pad([samples]) for samples in recordings if len(samples) >= 400]
    alone = [session.run(*batch)[0] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda batch: session.run(*batch)[0], batches))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_precision_defaults_to_fp32(tiny_bundle: Path) -> None:
    bundle = open_bundle(tiny_bundle)
    assert Network.open(bundle).precision == "fp32"
    with pytest.raises(PrecisionError, match=r"'fp7'; it has .*fp32"):
        Network.open(bundle, precision="fp7")


def test_memory_is_freed_after_a_large_batch_only() -> None:
    import onnxruntime

    from sewd_runtime.inference.backends.onnxruntime.backend import run_options

    small, large = (
        {"input_values": np.zeros((1, 16_000 * seconds), np.float32), "input_lengths": np.array([16_000])}
        for seconds in (6, 60)
    )
    assert run_options(onnxruntime, small) is None
    options = run_options(onnxruntime, large)
    assert options.get_run_config_entry("memory.enable_memory_arena_shrinkage") == "cpu:0"


@pytest.mark.parametrize(
    ("features", "safe"),
    [("fma avx2 avx512_vnni", False), ("fma avx2 avx_vnni", False), ("fma avx2 avx512bw", True), ("", True)],
)
def test_int8_matmuls_take_the_slower_kernel_only_if_the_fast_one_saturates(
    features: str, safe: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "cpu_features", lambda: features)
    assert ("session.x64quantprecision" in session_entries()) == safe
