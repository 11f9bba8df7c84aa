"""Laws of TensorRT that need no GPU: buckets change no result, options follow the bundle, errors help.

No engine runs here: docs/engines.md lists what was run and what was not.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sewd_runtime import load
from sewd_runtime.bundle.engines import (
    BatchShape,
    EngineEntry,
    Profile,
    engine_file,
    engine_key,
    engine_name,
)
from sewd_runtime.bundle.folder import Bundle, open_bundle
from sewd_runtime.bundle.manifest import FileEntry
from sewd_runtime.cli import main
from sewd_runtime.errors import EngineMismatchError, MissingPackageError, PrecisionError, ProviderError
from sewd_runtime.inference.backends import Options
from sewd_runtime.inference.backends.buckets import BucketedModel, choose_bucket, run_in_buckets
from sewd_runtime.inference.backends.onnxruntime import backend as onnxruntime_backend
from sewd_runtime.inference.backends.onnxruntime.tensorrt_backend import provider_options
from sewd_runtime.inference.backends.tensorrt import backend as tensorrt_backend
from sewd_runtime.inference.backends.tensorrt.backend import choose_engine
from sewd_runtime.inference.backends.tensorrt.cuda import call
from sewd_runtime.inference.session import pad
from sewd_runtime.inference.variants import default_profiles, find_variants
from sewd_runtime.system.hashing import sha256_of


def profile(*shapes: tuple[int, int]) -> Profile:
    smallest, usual, largest = (BatchShape(batch=batch, samples=samples) for batch, samples in shapes)
    return Profile(min=smallest, opt=usual, max=largest)


PROFILES = (profile((1, 400), (1, 8_000), (4, 16_000)), profile((1, 16_000), (1, 24_000), (2, 48_000)))


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return open_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def plain(bundle: Bundle) -> Any:
    options = Options(device="CPUExecutionProvider", threads=1)
    return onnxruntime_backend.open_model(bundle.path_of("model.fp32.onnx"), options)


def entry(
    bundle: Bundle, *, capability: str = "8.9", version: str = "1.7.1.116", builder: str = "tensorrt-rtx"
) -> EngineEntry:
    facts: dict[str, Any] = {
        "builder": builder,
        "version": version,
        "compute_capability": capability,
        "profiles": PROFILES,
    }
    model = bundle.manifest.files["model.fp32.onnx"]
    return EngineEntry(
        file=engine_file(engine_name("fp32", builder, capability)),
        precision="fp32",
        key=engine_key(model.sha256, **facts),
        **facts,
    )


# Buckets


@given(batch=st.integers(1, 40), num_samples=st.integers(1, 48_000))
def test_a_bucket_is_a_shape_that_its_profile_takes(batch: int, num_samples: int) -> None:
    bucket = choose_bucket(batch, num_samples, PROFILES)
    taken = PROFILES[bucket.profile]
    assert taken.min.batch <= bucket.shape.batch <= taken.max.batch
    assert taken.min.samples <= bucket.shape.samples <= taken.max.samples
    assert bucket.shape.samples >= num_samples
    assert bucket.shape.batch >= min(batch, taken.max.batch)
    assert all(num_samples > before.max.samples for before in PROFILES[: bucket.profile])


def test_few_buckets_serve_all_lengths() -> None:
    buckets = {choose_bucket(1, length, PROFILES) for length in range(1, 48_001)}
    assert len(buckets) < 50


def test_a_recording_longer_than_every_profile_is_named() -> None:
    with pytest.raises(ValueError, match=r"48001 samples are more than the 48000 .* longer --profile"):
        choose_bucket(1, 48_001, PROFILES)


@pytest.mark.parametrize("task", ["ctc", "classification"])
def test_buckets_change_nothing_in_a_result(task: str, bundle: Bundle, plain: Any) -> None:
    """For padded batches, batches in parts and both profiles, up to float rounding."""
    if task == "ctc":
        model, name = plain, "logits"
    else:
        folder = Path(__file__).parents[3] / "data" / "tiny-classifier"
        path = open_bundle(folder).path_of("model.fp32.onnx")
        model = onnxruntime_backend.open_model(path, Options(device="CPUExecutionProvider", threads=1))
        name = "class_logits"
    rng = np.random.default_rng(7)
    for lengths in ([80], [400, 401, 777], [5_001], [900] * 9, [16_000, 15_999], [16_001, 30_000, 47_999]):
        feed = dict(
            zip(
                ("input_values", "input_lengths"),
                pad([rng.normal(0, 0.1, length).astype(np.float32) for length in lengths]),
                strict=True,
            )
        )
        names = (name, "output_lengths")
        wanted, frames = model.run(names, feed)
        found, found_frames = BucketedModel.of(model, PROFILES).run(names, feed)
        np.testing.assert_array_equal(found_frames, frames)
        assert found.shape == wanted.shape
        for item, other, length in zip(found, wanted, frames, strict=True):
            if item.ndim == 2:
                item, other = item[:length], other[:length]
            np.testing.assert_allclose(item, other, atol=1e-5 * max(1.0, float(np.abs(other).max())))


def test_only_shapes_of_buckets_are_run(plain: Any) -> None:
    seen: list[tuple[int, ...]] = []

    def run(bucket: Any, feed: Any) -> Any:
        seen.append(feed["input_values"].shape)
        assert feed["input_values"].shape == (bucket.shape.batch, bucket.shape.samples)
        assert feed["input_lengths"].shape == (bucket.shape.batch,)
        return plain.run(("logits", "output_lengths"), feed)

    values, lengths = pad([np.zeros(800, np.float32)] * 7)
    run_in_buckets(run, {"input_values": values, "input_lengths": lengths}, PROFILES)
    assert seen == [(4, 1_000), (4, 1_000)]  # four, then three


def test_a_batch_whose_lengths_do_not_fit_is_an_error() -> None:
    feed = {"input_values": np.zeros((2, 800), np.float32), "input_lengths": np.array([800])}
    with pytest.raises(ValueError, match="lengths"):
        run_in_buckets(lambda *_: [], feed, PROFILES)


# Through onnxruntime


def test_the_provider_gets_the_manifests_shapes_and_types(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path, shapes = bundle.path_of("model.fp16.onnx"), default_profiles(bundle.manifest)
    options = provider_options(path, "fp16", shapes)
    least = bundle.manifest.min_samples
    assert options["trt_profile_min_shapes"] == f"input_values:1x{least},input_lengths:1"
    assert options["trt_profile_opt_shapes"] == "input_values:1x160000,input_lengths:1"
    assert options["trt_profile_max_shapes"] == "input_values:8x960000,input_lengths:8"
    assert options["trt_fp16_enable"] == "1"
    assert options["trt_engine_cache_enable"] == "1"
    assert Path(options["trt_engine_cache_path"]).is_relative_to(tmp_path / "sewd")
    assert "trt_fp16_enable" not in provider_options(path, "fp32", shapes)
    assert provider_options(path, "int8-static", shapes)["trt_int8_enable"] == "1"
    assert all(type(value) is str for value in options.values())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="files have no owners here")
@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "writable by everyone", "link for the folder"])
def test_engines_that_others_can_write_are_not_run(
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path, shapes = bundle.path_of("model.fp32.onnx"), default_profiles(bundle.manifest)
    folder = Path(provider_options(path, "fp32", shapes)["trt_engine_cache_path"])
    engine, elsewhere = folder / "graph.engine", tmp_path / "elsewhere"
    engine.write_bytes(b"engine")
    assert provider_options(path, "fp32", shapes)["trt_engine_cache_enable"] == "1"
    engine.unlink()
    if kind == "pipe":
        os.mkfifo(engine)
    elif kind == "folder":
        engine.mkdir()
    elif kind == "writable by everyone":
        engine.touch()
        engine.chmod(0o666)
    elif kind == "link":
        elsewhere.write_bytes(b"engine")
        engine.symlink_to(elsewhere)
    else:
        elsewhere.mkdir()
        folder.rmdir()
        folder.symlink_to(elsewhere)
    options = provider_options(path, "fp32", shapes)
    assert options["trt_engine_cache_enable"] == "0"
    assert "trt_engine_cache_path" not in options
    assert "the cache is not used" in caplog.text


def test_another_model_has_another_folder_of_engines(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shapes = default_profiles(bundle.manifest)
    folders = {
        provider_options(bundle.path_of(f"model.{name}.onnx"), name, shapes)["trt_engine_cache_path"]
        for name in ("fp32", "fp16", "int8-static")
    }
    assert len(folders) == 3


def test_the_row_is_refused_by_name_where_onnxruntime_has_no_tensorrt(tiny_bundle: Path) -> None:
    if "TensorrtExecutionProvider" in onnxruntime_backend.devices():
        pytest.skip("this onnxruntime has TensorRT")
    with pytest.raises(ProviderError, match=r"needs TensorrtExecutionProvider"):
        load(tiny_bundle, provider="tensorrt")


def test_what_a_gpu_computes_is_proven_when_it_is_loaded(bundle: Bundle) -> None:
    variants = find_variants(bundle.manifest, "tensorrt")
    assert list(variants) == ["fp16", "fp32", "int8-static"]
    assert all(variant.parity is None for variant in variants.values())


# Engines


def test_an_engine_is_chosen_by_gpu_and_version(bundle: Bundle) -> None:
    entries = [entry(bundle, capability=capability) for capability in ("8.9", "12.0")]
    versions = {"tensorrt-rtx": "1.7.1.116"}
    for one in entries:
        assert choose_engine(entries, capability=one.compute_capability, versions=versions) is one


@pytest.mark.parametrize(
    ("capability", "versions", "message"),
    [
        ("9.0", {"tensorrt-rtx": "1.7.1.116"}, "is for compute capability 8.9, but this GPU has 9.0"),
        ("8.9", {"tensorrt-rtx": "1.8"}, r"built by tensorrt-rtx 1\.7\.1\.116, but 1\.8 is installed"),
        ("8.9", {"tensorrt": "11.4"}, "needs tensorrt-rtx, which is not installed"),
    ],
)
def test_an_engine_that_does_not_fit_is_refused_by_name(
    bundle: Bundle, capability: str, versions: dict[str, str], message: str
) -> None:
    with pytest.raises(EngineMismatchError, match=message) as raised:
        choose_engine([entry(bundle)], capability=capability, versions=versions)
    assert "fp32.tensorrt-rtx.sm89" in str(raised.value)
    assert f"--compute-capability {capability}" in str(raised.value)


def test_a_bundle_runs_as_the_engines_it_has(bundle: Bundle) -> None:
    assert find_variants(bundle.manifest, "tensorrt-engine") == {}
    with pytest.raises(PrecisionError, match="tensorrt-engine has no precision 'fp32'"):
        load(bundle.path, provider="tensorrt-engine")
    one = entry(bundle)
    manifest = dataclasses.replace(bundle.manifest, engines={one.name: one})
    [variant] = find_variants(manifest, "tensorrt-engine").values()
    assert (variant.precision, variant.engines, variant.parity) == ("fp32", (one,), None)
    assert find_variants(manifest, "cpu")["fp32"].engines == ()


def test_inspecting_a_bundle_names_its_engines(
    broken_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The models beside them still run."""
    opened = open_bundle(broken_bundle)
    one = entry(opened)
    (broken_bundle / one.file).write_bytes(b"an engine")
    file = FileEntry(size_bytes=9, sha256=sha256_of(broken_bundle / one.file))
    files = {**opened.manifest.files, one.file: file}
    manifest = dataclasses.replace(opened.manifest, files=files, engines={one.name: one})
    (broken_bundle / "bundle.json").write_text(manifest.to_json(), encoding="utf-8")
    assert main(["inspect", str(broken_bundle), "--threads", "1"]) == 0
    assert "engine     fp32.tensorrt-rtx.sm89, version 1.7.1.116, 0.0 MB\n" in capsys.readouterr().out


def test_without_the_packages_the_extra_is_named(bundle: Bundle) -> None:
    if importlib.util.find_spec("cuda") is not None:
        pytest.skip("cuda-bindings is installed")
    with pytest.raises(MissingPackageError, match=r"pip install 'sewd\[tensorrt\]'"):
        tensorrt_backend.choose_engine_here([entry(bundle)])


def test_without_a_driver_that_is_said(bundle: Bundle) -> None:
    if importlib.util.find_spec("cuda") is None:
        pytest.skip("cuda-bindings is not installed: pip install 'sewd[tensorrt]'")
    try:
        found = subprocess.run(["nvidia-smi"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        found = False
    if found:
        pytest.skip("there is a GPU")
    with pytest.raises(ProviderError, match=r"cudaGetDeviceCount says cudaError\w+: no NVIDIA"):
        tensorrt_backend.choose_engine_here([entry(bundle)])
    with pytest.raises(ProviderError, match="NVIDIA"):
        tensorrt_backend.devices()


def test_an_error_of_cuda_is_raised_by_its_name() -> None:
    refused = SimpleNamespace(name="cudaErrorMemoryAllocation")
    cuda = SimpleNamespace(
        cudaError_t=SimpleNamespace(cudaSuccess="ok"),
        cudaMalloc=lambda size: ("ok", 7) if size < 10 else (refused, 0),
        cudaFree=lambda address: ("ok",),
    )
    assert call(cuda, "cudaMalloc", 3) == 7
    assert call(cuda, "cudaFree", 7) is None
    with pytest.raises(ProviderError, match="cudaMalloc says cudaErrorMemoryAllocation"):
        call(cuda, "cudaMalloc", 30)
