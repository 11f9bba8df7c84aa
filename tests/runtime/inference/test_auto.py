from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from sewd_runtime import load
from sewd_runtime.bundle.folder import Bundle, open_bundle
from sewd_runtime.cli import main
from sewd_runtime.errors import ModelError, PrecisionError, ProviderError
from sewd_runtime.inference import auto
from sewd_runtime.inference.auto import AUTO, open_fastest
from sewd_runtime.inference.backends import Options, Tensor
from sewd_runtime.inference.golden import read_golden
from sewd_runtime.inference.providers import PROVIDERS, Provider
from sewd_runtime.inference.timings import Timing, TimingsFile


@pytest.fixture(scope="session")
def tiny_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle with only its float32 model."""
    folder = Path(shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("auto") / "tiny"))
    manifest = json.loads((folder / "bundle.json").read_text())
    for name in set(manifest["precisions"]) - {"fp32"}:
        file = manifest["precisions"].pop(name)["file"]
        del manifest["files"][file]
        (folder / file).unlink()
    (folder / "bundle.json").write_text(json.dumps(manifest))
    return folder


class Clock:
    """Time that passes only when a model runs."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Library:
    """An inference library whose models know the golden utterance and nothing else, at a given speed.

    speed_s: seconds for a second of audio, by what the model computes in.
    """

    def __init__(self, name: str, bundle: Bundle, clock: Clock, speed_s: Mapping[str, float]) -> None:
        self.NAME, self.bundle, self.clock, self.speed_s = name, bundle, clock, speed_s
        self.runs = self.loads = 0
        self.error, self.version = 0.0, "1.0"

    def installed_version(self) -> str | None:
        return self.version

    def devices(self) -> Sequence[str]:
        return ["device"]

    def open_model(self, path: Path, options: Options) -> Known:
        self.loads += 1
        if options.compute not in self.speed_s:
            raise PrecisionError(f"no {options.compute} here")
        return Known(self, self.speed_s[options.compute])


class Known:
    inputs = (
        Tensor(name="input_values", dtype="float32", shape=(None, None)),
        Tensor(name="input_lengths", dtype="int64", shape=(None,)),
    )
    outputs = (
        Tensor(name="logits", dtype="float32", shape=(None, None, 32)),
        Tensor(name="output_lengths", dtype="int64", shape=(None,)),
    )

    def __init__(self, library: Library, speed_s: float) -> None:
        self.library, self.speed_s = library, speed_s

    def run(self, names: Sequence[str], feed: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        library = self.library
        library.runs += 1
        library.clock.now_s += self.speed_s * feed["input_values"].shape[1] / 16_000
        _, expected = read_golden(library.bundle)
        return [expected[None] + np.float32(library.error), np.array([len(expected)])]


Libraries = tuple[Library, Library]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "sewd" / "timings"


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return open_bundle(tiny_bundle)


@pytest.fixture
def libraries(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Libraries]:
    """Two libraries instead of the real ones: for a second, plain takes 9 ms and other 10, or 5 in bf16."""
    clock = Clock()
    plain = Library("plain", bundle, clock, {"f32": 0.009})
    other = Library("other", bundle, clock, {"f32": 0.010, "bf16": 0.005})
    monkeypatch.setattr(auto, "perf_counter", clock)
    rows = cast(dict[str, Provider], PROVIDERS)
    real = dict(rows)
    rows.clear()
    rows["cpu"] = Provider(backend=plain, device="device", extra="cpu")
    rows["openvino"] = Provider(backend=other, device="device", extra="openvino", precisions=("fp32", "bf16"))
    yield plain, other
    rows.clear()
    rows.update(real)


def chosen(bundle: Bundle, **options: Any) -> str:
    network = open_fastest(bundle, **options)
    return f"{network.session.provider} {network.precision}"


def test_by_default_only_the_provider_is_chosen(bundle: Bundle, libraries: Libraries) -> None:
    assert chosen(bundle) == "cpu fp32"
    libraries[1].speed_s = {"f32": 0.001}
    assert chosen(bundle, threads=2) == "openvino fp32"  # other threads, other timings


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"precision": AUTO}, "openvino bf16"),
        ({"precision": AUTO, "provider": "cpu"}, "cpu fp32"),
        ({"precision": AUTO, "provider": "openvino"}, "openvino bf16"),
        ({"precision": "bf16"}, "openvino bf16"),
        ({"precision": "fp32"}, "cpu fp32"),
    ],
)
@pytest.mark.usefixtures("libraries")
def test_only_candidates_are_chosen(bundle: Bundle, options: dict[str, str], expected: str) -> None:
    assert chosen(bundle, **options) == expected


def test_it_says_what_it_chose_and_measures_once(
    bundle: Bundle, libraries: Libraries, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="sewd")
    assert chosen(bundle, precision=AUTO) == "openvino bf16"
    [file] = cache.iterdir()
    timings = "openvino bf16, 50 ms for 10 s (cpu fp32 90 ms, openvino fp32 100 ms)"
    assert caplog.messages == [
        "auto: measuring cpu fp32, openvino fp32, openvino bf16",
        f"auto: {timings}; cached in {file}",
    ]
    caplog.clear()
    runs = [library.runs for library in libraries]
    assert chosen(bundle, precision=AUTO) == "openvino bf16"
    assert caplog.messages == [f"auto: {timings}; measured before, cached in {file}"]
    assert [library.runs for library in libraries] == [runs[0], runs[1] + 1]  # the golden utterance of bf16


def test_the_best_round_counts(bundle: Bundle, libraries: Libraries, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Known.run

    def stumble(self: Known, *arguments: Any) -> Any:
        if self.library.NAME == "plain" and self.library.runs < 4:
            self.library.clock.now_s += 0.5  # the first runs in a shape are slow
        return run(self, *arguments)

    monkeypatch.setattr(Known, "run", stumble)
    assert chosen(bundle) == "cpu fp32"


def test_slow_models_are_measured_in_fewer_rounds(bundle: Bundle, libraries: Libraries) -> None:
    chosen(bundle)
    quick = libraries[0].runs
    libraries[0].speed_s = {"f32": 2.0}
    chosen(bundle, threads=2)
    assert libraries[0].runs - quick < quick


def test_nothing_to_choose_from_is_not_measured(
    bundle: Bundle, libraries: Libraries, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="sewd")
    libraries[1].version = None  # type: ignore[assignment]
    assert chosen(bundle) == "cpu fp32"
    assert caplog.messages == ["auto: cpu fp32, the only choice"]
    assert libraries[0].runs == 0
    assert not cache.exists()


def test_a_variant_that_misses_the_golden_utterance_is_skipped(
    bundle: Bundle, libraries: Libraries, caplog: pytest.LogCaptureFixture
) -> None:
    libraries[1].error = 0.5
    libraries[1].speed_s = {"f32": 0.001}
    assert chosen(bundle) == "cpu fp32"
    assert "skipped openvino fp32" in caplog.text
    libraries[0].error = 0.5
    with pytest.raises(PrecisionError, match="off by"):
        chosen(bundle, threads=2)


def test_a_variant_that_does_not_load_is_skipped(
    bundle: Bundle, libraries: Libraries, caplog: pytest.LogCaptureFixture
) -> None:
    libraries[1].speed_s = {}
    assert chosen(bundle, precision=AUTO) == "cpu fp32"
    assert "skipped openvino bf16: no bf16 here" in caplog.text


def test_a_choice_that_fails_later_is_made_again(
    bundle: Bundle, libraries: Libraries, caplog: pytest.LogCaptureFixture
) -> None:
    assert chosen(bundle, precision=AUTO) == "openvino bf16"
    libraries[1].speed_s = {"f32": 0.010}
    assert chosen(bundle, precision=AUTO) == "cpu fp32"
    assert "openvino bf16 was the fastest, but now it fails" in caplog.text


def test_no_candidates(bundle: Bundle, libraries: Libraries) -> None:
    with pytest.raises(PrecisionError, match="fp7"):
        chosen(bundle, precision="fp7")
    for library in libraries:
        library.version = None  # type: ignore[assignment]
    with pytest.raises(ProviderError, match=re.escape(PROVIDERS["cpu"].remedy)):
        chosen(bundle)


def test_a_new_version_is_measured_again(bundle: Bundle, libraries: Libraries, cache: Path) -> None:
    chosen(bundle)
    libraries[1].version = "2.0"
    chosen(bundle)
    assert len(list(cache.iterdir())) == 2


@pytest.mark.usefixtures("libraries")
def test_a_changed_model_is_measured_again(bundle: Bundle, cache: Path) -> None:
    chosen(bundle)
    facts = [json.loads(file.read_text())["facts"] for file in cache.iterdir()]
    assert facts[0]["models"] == {"model.fp32.onnx": bundle.manifest.files["model.fp32.onnx"].sha256}


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"facts": {}, "timings": []}',
        "same facts, no timings",
        "same facts, timings of nothing",
    ],
)
@pytest.mark.usefixtures("libraries")
def test_a_damaged_cache_is_written_again(bundle: Bundle, cache: Path, damage: str) -> None:
    chosen(bundle)
    [file] = cache.iterdir()
    whole = file.read_text()
    if damage.startswith("same"):
        timings = [{"variant": "none", "milliseconds": 1}] if "nothing" in damage else "none"
        damage = json.dumps({"facts": json.loads(whole)["facts"], "timings": timings})
    file.write_text(damage)
    assert chosen(bundle) == "cpu fp32"
    assert json.loads(file.read_text()).keys() == json.loads(whole).keys()
    assert [path.name for path in cache.iterdir()] == [file.name]  # nothing half-written is left


def make_pipe(file: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names")
    os.mkfifo(file)


def make_huge(file: Path) -> None:
    with file.open("wb") as output:
        output.truncate(1 << 40)  # sparse: takes no room


PLANTED: dict[str, Callable[[Path], object]] = {
    "pipe": make_pipe,
    "huge": make_huge,
    "folder": lambda file: (file / "sub").mkdir(parents=True),
    "link to itself": lambda file: file.symlink_to(file.name),
    "no text": lambda file: file.write_bytes(b"\xff\0"),
    "too deep": lambda file: file.write_text("[" * 100_000),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_what_is_planted_in_the_cache_is_ignored_with_a_warning(
    bundle: Bundle, libraries: Libraries, cache: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    chosen(bundle)
    [file] = cache.iterdir()
    file.unlink()
    PLANTED[kind](file)
    caplog.clear()
    assert chosen(bundle) == "cpu fp32"
    assert "ignored, not timings of sewd" in caplog.text


@pytest.mark.parametrize("milliseconds", ["NaN", "Infinity", "-1", "0", "1" + "0" * 400])
@pytest.mark.usefixtures("libraries")
def test_a_time_that_is_none_is_ignored(
    bundle: Bundle, cache: Path, milliseconds: str, caplog: pytest.LogCaptureFixture
) -> None:
    chosen(bundle)
    [file] = cache.iterdir()
    facts = json.dumps(json.loads(file.read_text())["facts"])
    file.write_text(
        f'{{"facts": {facts}, "timings": [{{"variant": "openvino fp32", "milliseconds": {milliseconds}}}]}}'
    )
    assert chosen(bundle) == "cpu fp32"
    assert "ignored, not timings of sewd" in caplog.text


@pytest.mark.usefixtures("libraries")
def test_a_folder_that_cannot_be_written_to(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="sewd")
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert chosen(bundle) == "cpu fp32"
    assert "not cached" in caplog.messages[-1]


def test_timings_written_then_read_are_the_same() -> None:
    file = TimingsFile.of({"threads": None, "cores": 2})
    assert file is not None
    timings = [Timing(variant="b", milliseconds=2.5), Timing(variant="a", milliseconds=1.25)]
    assert file.read() == []
    assert file.write(timings)
    assert file.read() == timings[::-1]
    assert replace(file, facts={**file.facts, "cores": 3}).read() == []


def test_load_chooses(tiny_bundle: Path, libraries: Libraries) -> None:
    assert load(tiny_bundle, provider=AUTO).network.session.provider == "cpu"
    assert load(tiny_bundle, provider="openvino", precision=AUTO).network.precision == "bf16"


@pytest.mark.usefixtures("libraries")
def test_the_command_says_it_on_stderr(
    tiny_bundle: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import soundfile

    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(76_160), 16_000)
    arguments = ["transcribe", "--model", str(tiny_bundle), str(path), "--provider", "auto"]
    for _ in range(2):
        assert main([*arguments, "--precision", "auto"]) == 0
        captured = capsys.readouterr()
        assert "sewd: auto: openvino bf16, 50 ms for 10 s (cpu fp32 90 ms" in captured.err
        assert "auto" not in captured.out
    assert main(["transcribe", "--model", str(tiny_bundle), str(path)]) == 0
    assert capsys.readouterr().err == ""


def test_a_damaged_bundle_is_not_a_choice(broken_bundle: Path, libraries: Libraries) -> None:
    model = broken_bundle / "model.fp32.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    with pytest.raises(ValueError, match="sha256") as caught:
        load(broken_bundle, provider=AUTO)
    assert not isinstance(caught.value, ModelError)
    assert [library.loads for library in libraries] == [0, 0]
