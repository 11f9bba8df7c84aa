"""Law: the requested provider runs, or an error says why not; the CPU takes over only if allowed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import numpy as np
import pytest

from sewd_runtime import load
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.cli import main
from sewd_runtime.errors import FallbackWarning, PrecisionError, ProviderError
from sewd_runtime.inference.backends import Options
from sewd_runtime.inference.backends.onnxruntime import backend as onnxruntime_backend
from sewd_runtime.inference.backends.onnxruntime import placement, plugins
from sewd_runtime.inference.backends.onnxruntime.placement import check_placement, count_nodes
from sewd_runtime.inference.providers import PROVIDERS, Provider
from sewd_runtime.inference.variants import default_precision
from sewd_runtime.recognizer import Recognizer

LEAVES_ALL = "AzureExecutionProvider"
"""In every CPU build of onnxruntime; it takes nodes of its own operators and nothing else."""


class Node(NamedTuple):
    op_type: str


class Subgraph(NamedTuple):
    ep_name: str
    nodes: Sequence[Node]

    def get_nodes(self) -> Sequence[Node]:
        return self.nodes


class Placed:
    """A session with nodes placed by hand: operators on the device, and those left to the CPU."""

    def __init__(self, on_device: Sequence[str], left: Sequence[str]) -> None:
        self.subgraphs = [Subgraph("Device", [Node(name) for name in on_device])]
        self.subgraphs += [Subgraph("CPUExecutionProvider", [Node(name)]) for name in left]

    def get_provider_graph_assignment_info(self) -> Sequence[Subgraph]:
        return self.subgraphs


@pytest.mark.parametrize(
    ("on_device", "left", "share", "said"),
    [
        (["MatMul"] * 4, [], 0.0, None),
        (["MatMul"] * 4, ["Shape"] * 4, 0.5, None),
        (["MatMul"] * 4, ["Shape"] * 5, 0.5, "not run 5 of 9 nodes .* 0 matmuls .5 Shape.; at most 50%"),
        (["MatMul"] * 9, ["MatMulInteger"], 0.5, "not run 1 of 10 nodes .* 1 matmuls .1 MatMulInteger."),
        (["MatMul"] * 9, ["FusedConv", "Add"], 0.5, "1 matmuls .1 FusedConv, 1 Add"),
        ([], ["Add"], 1.0, None),
    ],
)
def test_a_device_leaves_no_matmul_and_not_too_many_nodes(
    on_device: Sequence[str], left: Sequence[str], share: float, said: str | None
) -> None:
    session, options = Placed(on_device, left), Options(device="Device", cpu_share=share)
    if said is None:
        check_placement(session, options)
    else:
        with pytest.raises(ProviderError, match=said):
            check_placement(session, options)


def test_a_matmul_that_may_be_left_is_a_warning() -> None:
    with pytest.warns(FallbackWarning, match="not run 1 of 2 nodes .* 1 matmuls .1 MatMul.$"):
        check_placement(Placed(["MatMul"], ["MatMul"]), Options(device="Device", cpu_share=1.0))


def test_an_older_onnxruntime_does_not_report_placement() -> None:
    assert count_nodes(object()) == {}
    check_placement(object(), Options(device="Device", cpu_share=0.0))


@pytest.fixture
def idle() -> Iterator[str]:
    """A provider that loads and leaves every node to the CPU."""
    import onnxruntime

    if LEAVES_ALL not in onnxruntime.get_available_providers():
        pytest.skip(f"this onnxruntime has no {LEAVES_ALL}")
    rows = cast(dict[str, Provider], PROVIDERS)
    rows["idle"] = replace(rows["cuda"], device=LEAVES_ALL, settings={}, needs="another machine")
    yield "idle"
    del rows["idle"]


def test_a_provider_that_leaves_every_node_is_refused(tiny_bundle: Path, idle: str) -> None:
    if not hasattr(_session(tiny_bundle), "get_provider_graph_assignment_info"):
        pytest.skip("this onnxruntime does not report placement")
    with pytest.raises(ProviderError, match=r"not run (\d+) of \1 nodes.*'idle' needs another machine"):
        load(tiny_bundle, provider=idle)


def _session(tiny_bundle: Path) -> object:
    import onnxruntime

    return onnxruntime.InferenceSession(tiny_bundle / "model.fp32.onnx", providers=["CPUExecutionProvider"])


def test_nodes_may_be_left_if_that_is_allowed(tiny_bundle: Path, idle: str) -> None:
    if not hasattr(_session(tiny_bundle), "get_provider_graph_assignment_info"):
        pytest.skip("this onnxruntime does not report placement")
    samples = np.random.default_rng(0).normal(0, 0.1, 8_001).astype(np.float32)
    with pytest.warns(FallbackWarning, match="does not run"):
        allowed = Recognizer.load(tiny_bundle, provider=idle, precision="fp32", allow_fallback=True)
    plain = Recognizer.load(tiny_bundle)
    np.testing.assert_array_equal(*(model.logits([samples])[0] for model in (allowed, plain)))


class Plugged:
    """An onnxruntime that knows plugins once they are registered."""

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds
        self.known = ["CPUExecutionProvider"]

    def get_available_providers(self) -> list[str]:
        return self.known

    def register_execution_provider_library(self, name: str, library: str) -> None:
        assert library == f"/lib/{name}.so"
        assert name not in self.known  # onnxruntime refuses a second time
        self.known.append(name)

    def get_ep_devices(self) -> list[Any]:
        kinds = self.kinds if "New" in self.known else ()
        device = [
            SimpleNamespace(ep_name="New", device=SimpleNamespace(type=SimpleNamespace(name=kind)))
            for kind in kinds
        ]
        return [SimpleNamespace(ep_name="CPUExecutionProvider"), *device]


@pytest.mark.parametrize(("kinds", "best"), [(("CPU", "GPU", "NPU"), "NPU"), (("CPU", "GPU"), "GPU")])
def test_a_plugin_is_registered_once_and_chosen_by_device(
    kinds: tuple[str, ...], best: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new_plugin.py").write_text("def get_library_path():\n    return '/lib/New.so'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "PLUGINS", {"New": "new_plugin", "Absent": "absent_plugin"})
    onnxruntime = Plugged(*kinds)
    assert plugins.choose_plugin_device(onnxruntime, "New") is None
    for _ in range(2):
        plugins.register_plugins(onnxruntime)
    assert onnxruntime.known == ["CPUExecutionProvider", "New"]
    assert plugins.choose_plugin_device(onnxruntime, "New").device.type.name == best
    assert plugins.choose_plugin_device(onnxruntime, "CPUExecutionProvider") is None


def test_an_older_onnxruntime_takes_no_plugin() -> None:
    plugins.register_plugins(object())
    assert plugins.choose_plugin_device(object(), "QNNExecutionProvider") is None


@pytest.mark.parametrize(
    "name",
    [name for name, row in PROVIDERS.items() if name not in ("cpu", "openvino") and not row.choose_engine],
)
def test_an_absent_provider_is_an_error_unless_the_cpu_may_run_it(tiny_bundle: Path, name: str) -> None:
    import onnxruntime

    if PROVIDERS[name].device in onnxruntime.get_available_providers():
        pytest.skip(f"this onnxruntime has {name}")
    with pytest.raises(ProviderError, match=PROVIDERS[name].device):
        load(tiny_bundle, provider=name)
    with pytest.warns(FallbackWarning, match=f"cpu in place of {name}: .*{PROVIDERS[name].device}"):
        model = load(tiny_bundle, provider=name, allow_fallback=True)
    assert (model.network.session.provider, model.network.precision) == ("cpu", "fp32")


def test_a_fall_back_keeps_the_precision(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # importing it fails
    with pytest.warns(FallbackWarning), pytest.raises(PrecisionError, match="'bf16'"):
        load(tiny_bundle, provider="openvino", precision="bf16", allow_fallback=True)


def test_a_library_that_does_not_load_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As onnxruntime-gpu without CUDA: its library is present and depends on one that is not."""
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "__file__", str(tmp_path / "__init__.py"))
    reason = placement.missing_library("CUDAExecutionProvider")
    assert str(tmp_path / "capi") in reason
    with pytest.raises(ProviderError, match=r"left CUDAExecutionProvider for CPU.*: .*providers_shared"):
        onnxruntime_backend.check_device("CUDAExecutionProvider", ["CPUExecutionProvider"])
    assert placement.missing_library("CPUExecutionProvider") == ""


def test_a_device_that_does_not_start_says_why(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    def fail(*arguments: object, **options: object) -> None:
        assert options["enable_fallback"] == 0
        raise RuntimeError("CUDA failure 35: driver version\n is insufficient")

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    path = open_bundle(tiny_bundle).path_of("model.fp32.onnx")
    with pytest.raises(
        ProviderError, match=r"cannot start CUDA.*: CUDA failure 35: driver version is insuff"
    ):
        onnxruntime_backend.open_model(path, Options(device="CUDAExecutionProvider"))
    with pytest.raises(RuntimeError, match="failure 35"):
        onnxruntime_backend.open_model(path, Options(device="CPUExecutionProvider"))


def test_options_reach_the_library_over_those_of_the_row(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = cast(dict[str, Provider], PROVIDERS)
    monkeypatch.setitem(rows, "cpu", replace(rows["cpu"], settings={"one": "row", "two": "row"}))
    seen: list[Options] = []

    def open_model(path: Path, options: Options) -> object:
        seen.append(options)
        raise ProviderError("seen")

    monkeypatch.setattr(onnxruntime_backend, "open_model", open_model)
    with pytest.raises(ProviderError, match="seen"):
        load(tiny_bundle, provider_options={"two": "user"})
    assert seen[0].settings == {"one": "row", "two": "user"}
    assert seen[0].cpu_share == rows["cpu"].cpu_share


@pytest.mark.parametrize("options", [{"allow_fallback": True}, {"provider_options": {"a": "b"}}])
def test_auto_has_nothing_to_fall_back_from(tiny_bundle: Path, options: dict[str, object]) -> None:
    with pytest.raises(ProviderError, match="auto takes what works"):
        load(tiny_bundle, provider="auto", **options)  # type: ignore[arg-type]


def test_a_provider_has_its_own_default_precision(tiny_bundle: Path) -> None:
    manifest = open_bundle(tiny_bundle).manifest
    assert set(manifest.precisions) >= {"fp32", "fp16", "int8-static"}
    found = {name: default_precision(manifest, name) for name in PROVIDERS}
    assert {name for name, precision in found.items() if precision == "fp16"} == {"cuda", "migraphx"}
    assert found["qnn"] == "int8-static"
    only = replace(manifest, precisions={"fp32": manifest.precisions["fp32"]})
    assert {default_precision(only, name) for name in PROVIDERS} == {"fp32"}


def test_every_row_runs_what_it_prefers() -> None:
    for row in PROVIDERS.values():
        assert set(row.preferred) <= set(row.precisions or row.preferred)
        assert 0 <= row.cpu_share < 1


def test_the_command_warns_on_standard_error(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = Path(__file__).parents[3] / "data/clip.wav"
    arguments = ["transcribe", "--model", str(tiny_bundle), "--provider", "xnnpack", str(clip)]
    assert main(arguments) == 3
    assert "no package has it" in capsys.readouterr().err
    assert main([*arguments, "--allow-fallback"]) == 1  # there is no such recording
    assert "sewd: cpu in place of xnnpack: " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*arguments, "--provider-option", "gpu_mem_limit"])
    assert "is not KEY=VALUE" in capsys.readouterr().err
