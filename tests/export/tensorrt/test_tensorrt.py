"""Laws of engines built ahead of time: every graph meant for TensorRT parses and builds, without a GPU.

What needs the builder runs in the environment of `make test-tensorrt` and is skipped elsewhere.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import json
import os
import shutil
from pathlib import Path
from typing import Any

import onnx_ir as ir
import pytest

from sewd_export import export, tensorrt
from sewd_export.cli import main
from sewd_export.errors import EngineBuildError
from sewd_export.precisions import PRECISIONS, converter
from sewd_export.tensorrt import (
    PROFILES,
    EngineOptions,
    ProfileOptions,
    build_engines,
    cache,
    check_engines,
)
from sewd_export.tensorrt.builder import build, find_library
from sewd_export.tensorrt.cache import read_engine, write_engine
from sewd_runtime.bundle.engines import engine_key
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.errors import MissingPackageError
from sewd_runtime.system.hashing import sha256_of

DIGITS = Path(__file__).parents[3] / "runtime/sewd_runtime/models/digits/model.fp32.onnx"
SUPPORTED = [name for name, row in PRECISIONS.items() if row.is_portable]
ONE = ProfileOptions(min=(1, 0.0), opt=(1, 2.0), max=(4, 5.0))

needs_builder = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="tensorrt_rtx is not installed: make test-tensorrt, or pip install 'sewd[tensorrt]'",
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "sewd" / "engines"


@pytest.fixture(scope="module")
def small() -> Path:
    return Path(__file__).parents[2] / "data" / "tiny"


def samples_of(*profiles: ProfileOptions) -> list[Any]:
    return [profile.to_samples(sample_rate_hz=16_000, min_samples=400) for profile in profiles]


# With the builder


@needs_builder
@pytest.mark.parametrize("capability", ["8.9", "12.0"])
@pytest.mark.parametrize("precision", SUPPORTED)
def test_a_small_graph_builds_for_a_gpu_that_is_not_here(
    precision: str, capability: str, small: Path
) -> None:
    model = small / f"model.{precision}.onnx"
    library = find_library(is_capability_named=True)
    built = build(library, model, compute_capability=capability, profiles=samples_of(ONE))
    assert built.warnings == ()
    assert len(built.engine) > model.stat().st_size


@needs_builder
@pytest.mark.parametrize("capability", ["8.9", "12.0"])
@pytest.mark.parametrize("precision", SUPPORTED)
def test_the_digits_graph_builds(precision: str, capability: str, tmp_path: Path) -> None:
    path = tmp_path / f"model.{precision}.onnx"
    ir.save(converter(precision, None)(ir.load(DIGITS)), path)
    library = find_library(is_capability_named=True)
    built = build(library, path, compute_capability=capability, profiles=samples_of(ONE))
    assert built.warnings == ()


@needs_builder
def test_nodes_that_tensorrt_does_not_support_are_named(small: Path) -> None:
    """The table says so, the parser says so, and the node is named with its operator."""
    path = small / "model.int8.onnx"
    named = [f"node {node.name} ({node.op_type}): " for node in ir.load(path).graph]
    library = find_library(is_capability_named=True)
    with pytest.raises(EngineBuildError, match="does not support this graph") as raised:
        build(library, path, compute_capability="8.9", profiles=samples_of(ONE))
    assert any(name in str(raised.value) for name in named)


@needs_builder
def test_a_capability_that_is_not_offered_is_named(small: Path) -> None:
    library = find_library(is_capability_named=True)
    with pytest.raises(EngineBuildError, match=r"9\.0: tensorrt-rtx builds for 7\.5, .*12\.1; choose"):
        build(
            library,
            small / "model.fp32.onnx",
            compute_capability="9.0",
            profiles=samples_of(ONE),
        )


@needs_builder
def test_an_engine_is_built_once(small: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(small, tmp_path / "bundle"))
    options = EngineOptions(profiles=(PROFILES[0], ONE), compute_capabilities=("8.9",))
    heard: list[str] = []
    [built] = build_engines(
        bundle, ["fp32"], options, sample_rate_hz=16_000, min_samples=80, progress=heard.append
    )
    entry = built.entry
    assert entry.file == "model.fp32.tensorrt-rtx.sm89.engine"
    assert any("Building engine" in line for line in heard)
    files = {path.name: path for path in bundle.iterdir()}
    assert files[entry.file].stat().st_size > 0
    assert entry.profiles[0].min.samples == 80
    digest = sha256_of(files[entry.file])
    [again] = build_engines(bundle, ["fp32"], options, sample_rate_hz=16_000, min_samples=80)
    assert (built.cached, again.cached) == (False, True)
    assert again.entry == entry
    assert sha256_of(bundle / again.entry.file) == digest


@needs_builder
@pytest.mark.usefixtures("without_trace")
def test_the_command_puts_it_into_the_bundle(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--tensorrt", "--profile", "1x0,1x1,2x2", "--compute-capability", "8.9", "--json"]
    assert main([str(tiny), "-o", str(tmp_path / "bundle"), *arguments]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["warnings"] == []
    opened = open_bundle(tmp_path / "bundle")
    opened.verify()
    [entry] = opened.manifest.engines.values()
    assert dataclasses.asdict(entry)["key"] == result["engines"]["fp32.tensorrt-rtx.sm89"]["key"]
    assert entry.file in opened.manifest.files
    assert main([str(tiny), "-o", str(tmp_path / "bundle"), "-q"]) == 1
    assert "has TensorRT engines, which this export would drop: add --tensorrt" in capsys.readouterr().err


@needs_builder
def test_ctrl_c_ends_a_build(small: Path) -> None:
    def interrupt(phase: str) -> None:
        raise KeyboardInterrupt

    library = find_library(is_capability_named=True)
    with pytest.raises(KeyboardInterrupt):
        build(
            library,
            small / "model.fp32.onnx",
            compute_capability="8.9",
            profiles=samples_of(ONE),
            progress=interrupt,
        )


# Without


def test_a_profile_is_read_as_it_is_written() -> None:
    for profile in (*PROFILES, ONE, ProfileOptions(min=(1, 0.025), opt=(3, 0.5), max=(3, 0.5))):
        assert ProfileOptions.parse(str(profile)) == profile


@pytest.mark.parametrize(
    "text",
    [
        *("", "1x1", "1x1,1x2", "1x1,1x2,1x3,1x4", "1,2,3", "x,x,x", "ax1,1x1,1x1"),
        *("0x1,1x2,1x3", "1x2,1x1,1x3", "2x1,1x2,1x3", "1x-1,1x2,1x3", "1x1,1x2,1xinf", "1xnan,1x2,1x3"),
    ],
)
def test_a_bad_profile_is_wrong_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--tensorrt", f"--profile={text}"])
    assert stop.value.code == 2
    assert "--profile" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--compute-capability", "8.9"],
        ["--profile", "1x0,1x1,1x2"],
        ["--verify", "somewhere", "--tensorrt"],
    ],
)
def test_flags_that_do_not_go_together(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


def test_the_profiles_leave_no_length_out() -> None:
    """From the shortest recording to the 60 s that run whole, one after another without a gap."""
    assert PROFILES[0].min == (1, 0.0)
    assert PROFILES[-1].max[1] == 60
    for profile, following in itertools.pairwise(PROFILES):
        assert following.min == (1, profile.max[1])
    shortest = samples_of(*PROFILES)[0].min
    assert (shortest.batch, shortest.samples) == (1, 400)


def test_engines_are_of_the_precisions_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt, "find_library", lambda **_: None)
    named = EngineOptions(compute_capabilities=("8.9",))
    assert check_engines(["fp32"], named) == ("fp32",)
    assert check_engines(["fp32", "fp16"], named) == ("fp16",)
    assert check_engines(["fp32", "int8", "int8-static"], named) == ("int8-static",)
    with pytest.raises(EngineBuildError, match=r"operators of int8; choose from fp32, fp16, int8-static"):
        check_engines(["fp32", "int8"], named)


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is not None, reason="tensorrt_rtx is installed")
def test_without_a_builder_the_extra_is_named_before_anything_runs(tiny: Path, tmp_path: Path) -> None:
    for capabilities in ((), ("8.9",)):
        options = EngineOptions(compute_capabilities=capabilities)
        with pytest.raises(MissingPackageError, match=r"pip install 'sewd\[tensorrt\]'"):
            export(tiny, tmp_path / "bundle", engines=options, progress=lambda _: pytest.fail("it began"))
    assert not list(tmp_path.glob("*bundle*"))


def test_a_key_is_of_all_that_an_engine_depends_on() -> None:
    facts: dict[str, Any] = {
        "model_sha256": "1" * 64,
        "builder": "tensorrt",
        "version": "11.4",
        "compute_capability": "8.9",
        "profiles": tuple(samples_of(*PROFILES)),
    }
    others = {
        "model_sha256": "2" * 64,
        "builder": "tensorrt-rtx",
        "version": "11.5",
        "compute_capability": "12.0",
        "profiles": tuple(samples_of(ONE)),
    }
    keys = {engine_key(**facts), *(engine_key(**{**facts, name: value}) for name, value in others.items())}
    assert len(keys) == 6


def test_the_cache_gives_back_what_it_took(own_cache: Path) -> None:
    assert read_engine("a" * 64) is None
    assert write_engine("a" * 64, b"engine")
    assert read_engine("a" * 64) == b"engine"
    assert read_engine("b" * 64) is None
    [path] = own_cache.iterdir()
    path.write_bytes(b"engin")  # damaged: as if it were not there
    assert read_engine("a" * 64) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="links and FIFOs")
def test_what_else_is_in_the_cache_is_ignored_with_a_warning(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Never waited for, read whole or run: FIFOs, huge files, links, and what others can write to."""
    assert write_engine("a" * 64, b"engine")
    [path] = own_cache.iterdir()
    path.chmod(0o666)
    (tmp_path / "elsewhere").write_bytes(b"engine")
    monkeypatch.setattr(cache, "MAX_BYTES", 1000)
    for make in (
        lambda _: None,
        os.mkfifo,
        Path.mkdir,
        lambda path: path.write_bytes(bytes(1001)),
        lambda path: path.symlink_to(tmp_path / "elsewhere"),
    ):
        make(path)
        caplog.clear()
        assert read_engine("a" * 64) is None
        assert "ignored in the cache of engines: " in caplog.text
        path.rmdir() if path.is_dir() else path.unlink()
    assert write_engine("a" * 64, b"engine")
    assert read_engine("a" * 64) == b"engine"


def test_a_cache_that_cannot_be_written_is_no_error(own_cache: Path) -> None:
    own_cache.parent.mkdir(parents=True)
    own_cache.write_text("a file")
    assert not write_engine("a" * 64, b"engine")
    assert read_engine("a" * 64) is None
