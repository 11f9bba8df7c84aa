"""Law: the doctor reports for each provider what loading it would, and passes only what runs."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from sewd_runtime import load
from sewd_runtime.bundle.folder import Bundle, open_bundle
from sewd_runtime.cli import main
from sewd_runtime.errors import ProviderError
from sewd_runtime.inference import doctor as doctor_module
from sewd_runtime.inference.doctor import diagnose
from sewd_runtime.inference.providers import PROVIDERS, Provider

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return open_bundle(tiny_bundle)


def doctor(capsys: Capture, *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(["doctor", "--json", "--threads", "1", *arguments])
    return code, json.loads(capsys.readouterr().out)


def test_each_provider_is_reported_with_the_error_of_loading_it(bundle: Bundle) -> None:
    found = diagnose(bundle, threads=1)
    assert [check.provider for check in found.providers] == list(PROVIDERS)
    for check in found.providers:
        if PROVIDERS[check.provider].choose_engine:  # this bundle has no engines
            assert not check.present
        elif check.present:
            model = load(bundle.path, provider=check.provider, threads=1)
            assert check.usable
            assert model.network.precision == check.precision
        else:
            with pytest.raises(ProviderError) as caught:
                load(bundle.path, provider=check.provider)
            assert check.detail == str(caught.value)


def test_a_bundle_without_engines_is_no_fault_of_tensorrt(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PROVIDERS["tensorrt-engine"].backend, "devices", lambda: ("GPU",))
    found = diagnose(bundle, threads=1)
    [check] = [one for one in found.providers if one.provider == "tensorrt-engine"]
    assert "no TensorRT engine" in check.detail
    assert found.healthy


def test_what_is_absent_is_no_fault_and_what_is_present_and_fails_is_one(
    tiny_bundle: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, content = doctor(capsys, str(tiny_bundle))
    assert code == 0
    assert content["healthy"]
    assert any(not row["present"] for row in content["providers"])
    rows = cast(dict[str, Provider], PROVIDERS)
    monkeypatch.setitem(rows, "broken", replace(rows["cpu"], precisions=("fp7",)))
    code, content = doctor(capsys, str(tiny_bundle))
    assert code == 1
    [broken] = [row for row in content["providers"] if row["provider"] == "broken"]
    assert (broken["present"], broken["usable"]) == (True, False)
    assert "has no precision" in broken["detail"]


def test_a_result_that_is_off_is_not_usable(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    tolerance = bundle.manifest.precisions["fp32"].tolerance
    strict = replace(tolerance, max_abs=1e-30)
    entry = replace(bundle.manifest.precisions["fp32"], tolerance=strict)
    manifest = replace(bundle.manifest, precisions={"fp32": entry})
    [cpu] = [row for row in diagnose(replace(bundle, manifest=manifest)).providers if row.provider == "cpu"]
    assert (cpu.present, cpu.usable) == (True, False)
    assert "golden utterance off by" in cpu.detail


def test_nothing_installed(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnxruntime", "openvino"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails
    found = diagnose(bundle)
    assert not found.healthy
    assert not found.devices
    assert all(not choice.candidates for choice in found.choices)
    assert all("pip install" in row.detail or "build" in row.detail for row in found.providers)
    reasons = ("No module", "import of", "neither tensorrt_rtx")
    assert all(any(reason in row.detail for reason in reasons) for row in found.providers)


def test_two_packages_in_one_folder_are_damage(
    tiny_bundle: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"}
    monkeypatch.setattr("sewd_runtime.system.packages.find_packages", lambda names=(): both)
    monkeypatch.setattr(doctor_module, "find_packages", lambda: both)
    assert main(["doctor", str(tiny_bundle), "--threads", "1"]) == 1
    text = capsys.readouterr().out
    assert re.search("DAMAGED +onnxruntime and onnxruntime-gpu are both installed", text)
    assert "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install 'onnxruntime-gpu'" in text


def test_auto_is_measured_only_when_asked(tiny_bundle: Path, cache: Path, capsys: Capture) -> None:
    _, content = doctor(capsys, str(tiny_bundle))
    assert [choice["precision"] for choice in content["choices"]] == ["fp32", "auto"]
    assert all(not choice["timings"] for choice in content["choices"])
    assert not cache.exists()
    _, content = doctor(capsys, str(tiny_bundle), "--measure")
    _, again = doctor(capsys, str(tiny_bundle))
    assert again["choices"] == content["choices"]
    timings = content["choices"][1]["timings"]
    assert {row["variant"] for row in timings} == set(content["choices"][1]["candidates"])
    assert timings == sorted(timings, key=lambda row: row["milliseconds"])


def test_people_read_a_line_each(tiny_bundle: Path, capsys: Capture) -> None:
    assert main(["doctor", str(tiny_bundle), "--threads", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for key in ("CPU", "features", "memory", "system", "packages", "devices", "model", *PROVIDERS, "auto"):
        assert any(line.startswith(f"{key:<11}") for line in lines), key
    assert "not measured yet (cpu" in lines[-1]


def test_no_bundle(tmp_path: Path, capsys: Capture) -> None:
    assert main(["doctor", str(tmp_path / "none")]) == 3
