from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sewd_runtime import load
from sewd_runtime.classifier import Classifier
from sewd_runtime.cli import COMMANDS, PLUGINS, main
from sewd_runtime.errors import InferenceError
from sewd_runtime.inference import pipeline
from sewd_runtime.inference.network import Network
from sewd_runtime.recognizer import Recognizer

Capture = pytest.CaptureFixture[str]
Misuse = Callable[..., str]


@pytest.fixture
def noises(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    paths = []
    for index, length in enumerate((16_001, 5_000, 30_000)):
        path = tmp_path / f"noise {index}.wav"
        soundfile.write(path, rng.normal(0, 0.1, length), 16_000)
        paths.append(str(path))
    return paths


@pytest.fixture
def notes(tmp_path: Path) -> str:
    path = tmp_path / "notes.txt"
    path.write_text("not audio")
    return str(path)


def transcribe(bundle: Path, *arguments: str) -> int:
    return main(["transcribe", "--model", str(bundle), "--threads", "1", *arguments])


def test_one_file_gives_its_text_alone(tiny_bundle: Path, noises: list[str], capsys: Capture) -> None:
    assert transcribe(tiny_bundle, noises[0]) == 0
    captured = capsys.readouterr()
    assert captured.out == text_of(tiny_bundle, noises[0]) + "\n"
    assert captured.err == ""


def text_of(bundle: Path, path: str) -> str:
    model = Recognizer.load(bundle)
    return model.transcribe(path).text


def test_several_files_give_a_line_each_in_order(
    tiny_bundle: Path, noises: list[str], capsys: Capture
) -> None:
    assert transcribe(tiny_bundle, *noises) == 0
    assert capsys.readouterr().out == "".join(f"{path}: {text_of(tiny_bundle, path)}\n" for path in noises)


def test_json_is_an_object_a_line(tiny_bundle: Path, noises: list[str], capsys: Capture) -> None:
    assert transcribe(tiny_bundle, "--format", "json", *noises) == 0
    expected = capsys.readouterr().out
    assert transcribe(tiny_bundle, "--json", *noises) == 0
    assert capsys.readouterr().out == expected
    results = [json.loads(line) for line in expected.splitlines()]
    assert [result["file"] for result in results] == noises
    for result in results:
        assert list(result) == ["file", "text", "duration_s", "segments", "words"]
        for word in result["words"]:
            assert list(word) == ["text", "start_s", "end_s", "confidence"]
            assert 0 <= word["start_s"] < word["end_s"] <= result["duration_s"]


def test_a_bad_file_stops_no_other(
    tiny_bundle: Path, noises: list[str], notes: str, tmp_path: Path, capsys: Capture
) -> None:
    files = [noises[0], notes, str(tmp_path / "nothing.wav"), "a" * 300 + ".wav", noises[1]]
    assert transcribe(tiny_bundle, *files) == 1
    captured = capsys.readouterr()
    assert [line.split(": ")[0] for line in captured.out.splitlines()] == [noises[0], noises[1]]
    complaints = captured.err.splitlines()
    assert [line.split(": ")[:2] for line in complaints] == [["sewd", bad] for bad in files[1:4]]
    assert "cannot be read as audio" in complaints[0]
    assert "No such file" in complaints[1]


def test_files_are_read_in_groups(
    tiny_bundle: Path, noises: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert transcribe(tiny_bundle, *noises) == 0
    expected = capsys.readouterr().out
    for name, value in (("GROUP_FILES", 2), ("GROUP_SAMPLES", 8_000)):
        monkeypatch.setattr(pipeline, name, value)
        assert transcribe(tiny_bundle, *noises) == 0
        assert capsys.readouterr().out == expected


def test_a_failing_run_stops_no_other(
    tiny_bundle: Path, noises: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    run = Recognizer.logits

    def fail_on_long(self: Recognizer, recordings: Any) -> Any:
        if any(len(samples) == 30_000 for samples in recordings):
            raise InferenceError("out of\nmemory")
        return run(self, recordings)

    monkeypatch.setattr(Recognizer, "logits", fail_on_long)
    assert transcribe(tiny_bundle, *noises) == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    assert captured.err == f"sewd: {noises[2]}: out of memory\n"


def test_too_short_is_empty_text(tiny_bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    soundfile.write(tmp_path / "click.wav", np.zeros(50), 16_000)
    assert transcribe(tiny_bundle, str(tmp_path / "click.wav")) == 0
    assert capsys.readouterr().out == "\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["transcribe"],
        ["transcribe", "--threads", "0", "a.wav"],
        ["transcribe", "--format", "xml", "a"],
        ["transcribe", "--provider", "tpu", "a"],
        ["transcribe", "--alpha", "nan", "a"],
        ["inspect", "--provider", "auto"],
        ["sing"],
        ["--loud"],
    ],
)
def test_wrong_usage(arguments: list[str], misuse: Misuse) -> None:
    assert ": error: " in misuse(*arguments)


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), ["lm", "build"]], ids=" ".join)
def test_help_ends_with_examples_and_the_exit_codes(command: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([*command, "--help"])
    assert exit_.value.code == 0
    out = capsys.readouterr().out
    above, _, codes = out.partition("\nexit codes:\n")
    assert [line.split()[0] for line in codes.splitlines()] == ["0", "1", "2", "3", "130", "141"]
    if command:
        examples = above.partition("\nexamples:\n")[2].splitlines()
        assert examples
        assert all(f"sewd {command[0]} " in f"{line} " for line in examples)


@pytest.mark.parametrize("start", [["sewd_runtime.cli"], ["sewd_runtime"]])
def test_sewd_alone_prints_help(start: list[str], capsys: Capture) -> None:
    done = subprocess.run([sys.executable, "-m", *start], capture_output=True, text=True, check=True)
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert (done.stdout, done.stderr) == (capsys.readouterr().out, "")


def test_another_package_adds_a_command(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    module = types.SimpleNamespace(
        HELP="Sing.", EXAMPLES="  sewd sing\n", add_arguments=lambda _: None, run=lambda _: 7
    )
    entry = types.SimpleNamespace(name="sing", load=lambda: module)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [entry] * (group == PLUGINS))
    assert main(["sing"]) == 7
    assert main([]) == 0
    assert "Sing." in capsys.readouterr().out


def test_only_what_is_asked_for_is_imported() -> None:
    code = "import sys, sewd_runtime.cli as c\ntry: c.main(sys.argv[1:])\nfinally: print(*sys.modules)"
    heavy = {"numpy", "importlib.metadata", "sewd_runtime.commands.transcribe"}
    for arguments, imported in ((["--version"], set()), (["transcribe", "--help"], heavy)):
        command = [sys.executable, "-c", code, *arguments]
        modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert heavy & set(modules) == imported
        assert "sewd_runtime.commands.bench" not in modules


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "nowhere"], "nowhere"),
        (["--precision", "fp7"], "fp7"),
        (["--provider", "auto", "--precision", "fp7"], "fp7"),
    ],
)
def test_an_unusable_model(
    tiny_bundle: Path, noises: list[str], arguments: list[str], words: str, capsys: Capture
) -> None:
    assert transcribe(tiny_bundle, *arguments, noises[0]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith("sewd: ")
    assert words in captured.err


def test_a_bundle_for_another_task(tiny_bundle: Path, noises: list[str], capsys: Capture) -> None:
    assert main(["classify", "--model", str(tiny_bundle), noises[0]]) == 3
    assert "needs classification" in capsys.readouterr().err


@pytest.fixture
def classifier(numpy_network: Any, monkeypatch: pytest.MonkeyPatch) -> Classifier:
    """What every command loads, whatever its --model says."""
    network = numpy_network("classification")
    classifier = Classifier(network=network, labels=tuple(f"L{index}" for index in range(32)))
    monkeypatch.setattr(Classifier, "load", lambda *_, **__: classifier)
    return classifier


def test_classify(noises: list[str], classifier: Classifier, tmp_path: Path, capsys: Capture) -> None:
    soundfile.write(tmp_path / "click.wav", np.zeros(100), 16_000)
    assert main(["classify", "--json", *noises, str(tmp_path / "click.wav")]) == 1
    captured = capsys.readouterr()
    results = [json.loads(line) for line in captured.out.splitlines()]
    assert [result["file"] for result in results] == noises
    assert captured.err.startswith(f"sewd: {tmp_path / 'click.wav'}: 100 samples are too few")
    assert main(["classify", noises[0]]) == 0
    best = classifier.classify(noises[0])
    assert capsys.readouterr().out == f"{best.label} {best.probability:.4f}\n"


def test_a_long_recording_is_not_classified_whole_unasked(
    classifier: Classifier, tmp_path: Path, capsys: Capture
) -> None:
    path = str(tmp_path / "long.wav")
    soundfile.write(path, np.zeros(16_000 * 61), 16_000)
    assert main(["classify", path]) == 1
    assert "longer than the limit of 60 s" in capsys.readouterr().err
    assert main(["classify", "--max-duration", "61", path]) == 0
    assert main(["classify", "--every", "30", path]) == 0


def test_classify_windows(noises: list[str], classifier: Classifier, notes: str, capsys: Capture) -> None:
    assert main(["classify", "--every", "0.5", "--top-k", "2", "--format", "json", *noises, notes]) == 1
    captured = capsys.readouterr()
    rows = [json.loads(line) for line in captured.out.splitlines()]
    expected = [
        {"file": name, "start_s": one.start_s, "end_s": one.end_s, "labels": [*one.labels[:2]]}
        for name in noises
        for one in classifier.classify_windows(name, every_s=0.5)
    ]
    assert [{name: row[name] for name in expected[0]} for row in rows] == expected
    assert {len(row["probabilities"]) for row in rows} == {2}
    assert captured.err.startswith(f"sewd: {notes}: ")
    assert main(["classify", "--every", "0.5", "--window", "0.25", noises[1]]) == 0
    best = [*classifier.classify_windows(noises[1], every_s=0.5, window_s=0.25)]
    lines = [f"{one.start_s:.2f} {one.end_s:.2f} {one.label} {one.probability:.4f}" for one in best]
    assert capsys.readouterr().out.splitlines() == lines


def test_interrupt(
    tiny_bundle: Path, noises: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def interrupt(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Network, "read_or_stream", interrupt)
    assert transcribe(tiny_bundle, noises[0]) == 130
    assert capsys.readouterr().err == ""


def run(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sewd_runtime.cli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def test_stdin(tiny_bundle: Path, noises: list[str]) -> None:
    with (
        Path(noises[0]).open("rb") as audio,
        run("transcribe", "--model", str(tiny_bundle), "-", stdin=audio) as done,
    ):
        out, err = done.communicate()
    assert (done.returncode, err) == (0, b"")
    assert out.decode() == text_of(tiny_bundle, noises[0]) + "\n"


def test_nothing_on_stdin(tiny_bundle: Path) -> None:
    with run("transcribe", "--model", str(tiny_bundle), "-", stdin=subprocess.DEVNULL) as done:
        out, err = done.communicate()
    assert (done.returncode, out) == (1, b"")
    assert err.startswith(b"sewd: -: ")
    assert err.count(b"\n") == 1


def test_a_reader_that_closes_the_pipe(tiny_bundle: Path, noises: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "sewd_runtime.cli", "transcribe", "--model", str(tiny_bundle), *noises]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text elsewhere")
def test_a_file_name_that_is_not_text(tiny_bundle: Path, noises: list[str], tmp_path: Path) -> None:
    strange = os.fsencode(tmp_path) + b"/\xff.wav"
    Path(noises[0]).rename(os.fsdecode(strange))
    with run("transcribe", "--model", str(tiny_bundle), os.fsdecode(strange), noises[1]) as done:
        out, err = done.communicate()
    assert (done.returncode, err) == (0, b"")
    assert len(out.splitlines()) == 2


def test_a_warning_is_one_line(tiny_bundle: Path, noises: list[str], capsys: Capture) -> None:
    assert transcribe(tiny_bundle, "--precision", "fp16", noises[0]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 1
    assert captured.err.startswith("sewd: fp16 on cpu: ")
    assert captured.err.count("\n") == 1


def test_inspect(tiny_bundle: Path, capsys: Capture) -> None:
    assert main(["inspect", str(tiny_bundle)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "all sizes and hashes right" in captured.out
    assert "FAILED" not in captured.out
    manifest = load(tiny_bundle).manifest
    for precision, entry in manifest.precisions.items():
        evidence, golden = [line for line in captured.out.splitlines() if line.startswith(f"{precision} ")]
        size = manifest.files[entry.file].size_bytes
        assert evidence.split()[1:3] == [f"{size / 1e6:.1f}", f"{entry.parity.max_abs:.1e}"]
        shares = (entry.parity.label_agreement, entry.parity.transcript_agreement)
        assert evidence.split()[-3:] == [*(f"{share:.2%}" for share in shares), "-"]
        assert "  ok" in golden


def test_inspect_as_json(tiny_bundle: Path, broken_bundle: Path, capsys: Capture) -> None:
    """Holds what the text says: the manifest, the errors here, and what failed."""
    assert main(["inspect", str(tiny_bundle), "--precision", "fp32", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["passed"]
    assert shown["manifest"]["name"] == load(tiny_bundle).manifest.name
    [check] = shown["checks"]
    assert check["precision"] == "fp32"
    assert 0 <= check["max_abs"] <= check["allowed"]
    (broken_bundle / "config.json").write_text("{}")
    assert main(["inspect", str(broken_bundle), "--precision", "fp32", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert not shown["passed"]
    assert "config.json" in shown["bad_files"]["files"]


def test_inspect_says_what_failed_and_what_was_calibrated(broken_bundle: Path, capsys: Capture) -> None:
    path = broken_bundle / "bundle.json"
    path.write_text(path.read_text().replace('"failed": {}', '"failed": {"int4": "int4 is too coarse"}'))
    assert main(["inspect", str(broken_bundle), "--precision", "fp32"]) == 0
    shown = capsys.readouterr().out
    assert "int4      not in the bundle: int4 is too coarse\n" in shown
    assert shown.count("not calibrated on recordings\n") == 1


def test_inspect_shows_word_error_rates(broken_bundle: Path, capsys: Capture) -> None:
    manifest = json.loads((broken_bundle / "bundle.json").read_text())
    manifest["precisions"]["fp16"]["parity"].update(words=300, wer=0.05, original_wer=0.04)
    (broken_bundle / "bundle.json").write_text(json.dumps(manifest))
    assert main(["inspect", str(broken_bundle)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^fp16 .* 5\.00%\n +the original's WER on these 300 words: 4\.00%$", out, re.MULTILINE)


def test_inspect_finds_a_changed_file(broken_bundle: Path, capsys: Capture) -> None:
    (broken_bundle / "config.json").write_text("{}")
    assert main(["inspect", str(broken_bundle)]) == 1
    assert "config.json" in capsys.readouterr().out


def test_inspect_finds_a_model_with_other_outputs(broken_bundle: Path, capsys: Capture) -> None:
    path = broken_bundle / "golden.npz"
    with np.load(path) as arrays:
        samples, expected = arrays["samples"], arrays["expected"]
    np.savez(path, samples=samples, expected=expected + np.float32(0.01))
    rehash(broken_bundle, path)
    assert main(["inspect", str(broken_bundle)]) == 1
    out = capsys.readouterr().out
    assert "all sizes and hashes right" in out
    assert "FAILED: off by more than allowed" in out


@pytest.mark.parametrize(
    "arrays",
    [
        {"samples": np.zeros(800, np.float32)},
        {"samples": np.zeros(800), "expected": np.zeros((2, 32), np.float32)},
        {"samples": np.zeros(800, np.float32), "expected": np.zeros((3, 7), np.float32)},
        {"samples": np.array([None]), "expected": np.zeros((2, 32), np.float32)},
    ],
)
def test_inspect_finds_an_unfit_golden_file(
    broken_bundle: Path, arrays: dict[str, np.ndarray], capsys: Capture
) -> None:
    path = broken_bundle / "golden.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    rehash(broken_bundle, path)
    assert main(["inspect", str(broken_bundle)]) == 1
    assert "golden" in capsys.readouterr().out


def rehash(bundle: Path, path: Path) -> None:
    from sewd_runtime.system.hashing import sha256_of

    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest["files"][path.name] = {"size_bytes": path.stat().st_size, "sha256": sha256_of(path)}
    (bundle / "bundle.json").write_text(json.dumps(manifest))


def test_inspect_runs_what_it_is_asked_for(tiny_bundle: Path, capsys: Capture) -> None:
    assert main(["inspect", str(tiny_bundle), "--precision", "fp32", "--provider", "cpu"]) == 0
    assert "fp32" in capsys.readouterr().out
    assert main(["inspect", str(tiny_bundle), "--precision", "bf16"]) == 3
    assert "bf16" in capsys.readouterr().err


def test_inspect_of_nothing(tmp_path: Path, capsys: Capture) -> None:
    assert main(["inspect", str(tmp_path)]) == 3
    assert capsys.readouterr().err.startswith("sewd: ")


@pytest.mark.parametrize("command", ["classify", "serve", "corpus"])
def test_an_option_of_another_command_shows_the_usage_of_this_one(command: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, *(["a.tsv", "-o", "out"] if command == "corpus" else []), "--skip-existing"])
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(f"usage: sewd {command} ")
    assert told.endswith(f"sewd {command}: error: unrecognized arguments: --skip-existing\n")
