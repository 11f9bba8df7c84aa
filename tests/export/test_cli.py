"""Law: the command says what it did in its exit code, on one line each, and to machines in one object."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import sewd_runtime
from sewd_export import Exported, conversion, exporter
from sewd_export.cli import main
from sewd_export.errors import ExportWarning, TraceError
from sewd_export.parity import reference
from sewd_export.precisions import PRECISIONS
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.bundle.manifest import Tolerance
from sewd_runtime.cli import main as runtime_main
from sewd_runtime.system.terminal import json_line

DATA = Path(__file__).parents[1] / "data"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command: its exit code, what it printed, and what it said to standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            assert isinstance(stop.code, int)
            code = stop.code
        found = capfd.readouterr()
        return code, found.out, found.err

    return call


@pytest.fixture
def own_audio(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    samples = np.random.default_rng(5).uniform(-0.5, 0.5, 7001)
    soundfile.write(folder / "mine.wav", samples, 22_050)
    return folder


@pytest.mark.usefixtures("without_trace")
def test_an_export_prints_its_stages_and_its_table(
    run: Run, tiny: Path, tmp_path: Path, own_audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (own_audio / "transcripts.tsv").write_text("mine\tNO WORDS AT ALL\n")
    code, out, err = run(tiny, "--audio", own_audio, "--report", "report.txt")
    assert code == 0
    open_bundle("checkpoint-tiny-bundle").verify()  # the name that no -o asks for
    verdict, header, row, *_, last = [line for line in out.splitlines() if line]
    assert verdict == "ready to ship: checkpoint-tiny-bundle matches the original in fp32"
    columns = r"precision +size +largest error +texts equal +WER \(original [\d.]+%\) +speed here"
    assert re.fullmatch(columns, header)
    assert re.fullmatch(r"fp32 +0\.\d MB +\d\.\de-\d\d +(\d+) of \1 +[\d.]+% +\d+x", row)
    assert last == "next: sewd transcribe --model checkpoint-tiny-bundle --precision fp32 speech.flac"
    assert "mine.wav" not in out
    report = Path("report.txt").read_text()
    assert report.startswith(f"{verdict}\n")
    assert [line.split("  ")[0] for line in report.splitlines()].count("mine.wav") == 1
    stages = [line.split("] ")[1] for line in err.splitlines()]
    assert stages[1] == "load the checkpoint"
    assert "compare fp32 with the original" in stages
    assert stages[-1] == "done"


@pytest.fixture
def with_lm(checkpoint: Path) -> Path:
    """A checkpoint with a language model beside it."""
    folder = checkpoint / "language_model"
    folder.mkdir()
    (folder / "sentences.txt").write_text("one two three\n")
    assert runtime_main(["lm", "build", str(folder / "sentences.txt"), "-o", str(folder / "5gram.arpa")]) == 0
    weights = {"alpha": 0.7, "beta": 1.5, "unk_score_offset": -2, "score_boundary": True}
    (folder / "attrs.json").write_text(json.dumps(weights))
    return checkpoint


@pytest.mark.usefixtures("without_trace")
def test_a_language_model_beside_the_checkpoint_is_taken_with_its_weights(
    run: Run, with_lm: Path, tmp_path: Path, own_audio: Path
) -> None:
    pytest.importorskip("kenlm")
    bundle = tmp_path / "bundle"
    (own_audio / "transcripts.tsv").write_text("mine\tNO WORDS AT ALL\n")
    code, out, err = run(with_lm, "-o", bundle, "--audio", own_audio, "--layout", "onnx-asr")
    manifest = open_bundle(bundle).manifest
    entry = manifest.language_model
    assert code == 0
    assert entry is not None
    assert (entry.file, entry.alpha, entry.beta) == ("lm.arpa", 0.7, 1.5)
    assert entry.unknown_score < -2 * 2.3
    assert (entry.words, entry.default) == (4, False)
    assert entry.greedy_wer == manifest.precisions["fp32"].parity.original_wer
    assert (bundle / entry.file).read_bytes() == (with_lm / "language_model/5gram.arpa").read_bytes()
    text = f"language model lm.arpa: {entry.describe()}; decode with it: "
    [command] = [line.removeprefix(text) for line in out.splitlines() if line.startswith(text)]
    assert "to use it by default, measure it on 100 words or more" in out
    assert f"the language model stays in {bundle}" in err
    clip = str(DATA.parents[1] / "export/sewd_export/speech/awb_1.flac")
    assert runtime_main([*shlex.split(command)[1:-1], clip]) == 0
    _, out, _ = run(with_lm, "-o", tmp_path / "without", "--no-lm", "--json")
    assert json.loads(out)["language_model"] is None
    assert not (tmp_path / "without/lm.arpa").exists()


def test_bad_weights_of_a_language_model_are_named(run: Run, with_lm: Path, tmp_path: Path) -> None:
    (with_lm / "language_model/attrs.json").write_text('{"alpha": "much"}')
    code, out, err = run("-q", with_lm, "-o", tmp_path / "bundle")
    assert (code, out) == (1, "")
    assert "alpha must be a number, got 'much'" in err


@pytest.mark.usefixtures("without_trace")
@pytest.mark.parametrize("flags", [["--json"], ["--json", "-q"]], ids=" ".join)
def test_json_is_one_object(run: Run, tiny: Path, tmp_path: Path, flags: list[str]) -> None:
    code, out, err = run(tiny, "-o", tmp_path / "deep" / "er" / "my.bundle", *flags)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert out.count("\n") == 1
    assert found["bundle"] == str(tmp_path / "deep" / "er" / "my.bundle")
    manifest = open_bundle(found["bundle"]).manifest
    expected = {name: dataclasses.asdict(entry) for name, entry in manifest.precisions.items()}
    assert found["precisions"] == json.loads(json.dumps(expected))


@pytest.mark.usefixtures("without_trace")
def test_quiet_prints_nothing(run: Run, tiny: Path, bundle: Path) -> None:
    assert run(tiny, "-q", "-o", f"{bundle}/") == (0, "", "")
    open_bundle(bundle).verify()
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


@pytest.mark.usefixtures("without_trace")
@pytest.mark.parametrize("flags", [["-v"], ["-q"], ["--json"]], ids=" ".join)
def test_a_parity_miss_is_exit_code_1_and_nothing_written(
    run: Run, tiny: Path, tmp_path: Path, flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    impossible = Tolerance(max_abs=1e-30, relative=1e-30, batch_error=1e-30)
    monkeypatch.setitem(PRECISIONS, "fp32", dataclasses.replace(PRECISIONS["fp32"], tolerance=impossible))
    code, out, err = run(tiny, "-o", tmp_path / "bundle", *flags)
    assert (code, bool(out)) == (1, "-v" in flags)
    assert ("awb_1 " in out) == ("-v" in flags)
    assert err.splitlines()[-1].startswith("sewd-export: fp32 failed verification on ")
    assert len(err.splitlines()) == 1 or "-v" in flags
    assert list(tmp_path.iterdir()) == []


def bad_checkpoints(folder: Path) -> dict[str, Any]:
    (folder / "empty").mkdir()
    (folder / "file").write_text("text")
    return {name: folder / name for name in ("empty", "file", "absent")} | {"hub": "no such name"}


@pytest.mark.parametrize("kind", ["empty", "file", "absent", "hub"])
def test_a_bad_checkpoint_is_one_line(run: Run, tmp_path: Path, kind: str) -> None:
    code, out, err = run("-q", bad_checkpoints(tmp_path)[kind], "-o", tmp_path / "bundle")
    assert (code, out) == (1, "")
    assert err.startswith("sewd-export: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "bundle").exists()


REFUSED_AT_ONCE = {
    "absent": "absent: no such folder",
    "--add absent --int8": "absent: not a bundle: no such folder",
    "--add tiny-bundle --fp16": "tiny-bundle: has fp16 already",
    "--verify absent": "absent: not a bundle: no such folder",
    "tiny": "tiny-bundle: has fp16, int8-static, which this export would drop",
    "tiny -o precious": "precious: exists and is not a bundle",
    "tiny --audio absent -o new": "absent: no such folder",
    "tiny --int8-static --calibrate empty -o new": "empty: no recordings",
    "tiny --report absent/report.txt -o new": "argument --report: absent/report.txt: there is no such folder",
    "tiny --report empty -o new": "argument --report: empty: a folder",
}


def test_what_is_wrong_is_refused_before_torch_is_imported(
    tiny: Path, exported_half: Exported, tmp_path: Path
) -> None:
    shutil.copytree(tiny, tmp_path / "tiny")
    shutil.copytree(exported_half.path, tmp_path / "tiny-bundle")
    (tmp_path / "empty").mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "notes.txt").write_text("mine")
    code = """if True:
        import sys
        from sewd_export.cli import main
        for line in sys.argv[1:]:
            try:
                assert main(line.split()) == 1
            except SystemExit as stop:
                assert stop.code == 2
        print("torch" in sys.modules)
    """
    command = [sys.executable, "-c", code, *(f"-q {line}" for line in REFUSED_AT_ONCE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "False\n"
    refusals = [line for line in done.stderr.splitlines() if line.startswith("sewd-export: ")]
    for refusal, expected in zip(refusals, REFUSED_AT_ONCE.values(), strict=True):
        assert expected in refusal
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "precious", "tiny", "tiny-bundle"]


@pytest.mark.parametrize("output", ["file", "file/bundle", "precious", "x" * 300])
def test_an_output_that_cannot_be_is_one_line(run: Run, tiny: Path, tmp_path: Path, output: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "notes.txt").write_text("mine")
    code, out, err = run("-q", tiny, "-o", tmp_path / output)
    assert (code, out) == (1, "")
    assert err.startswith("sewd-export: ")
    assert output in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "notes.txt", "precious"]


def test_an_error_of_many_lines_is_printed_on_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def export(*_: Any, **__: Any) -> None:
        raise TraceError("torch cannot export it:\n\n  line one\n  line two\n")

    monkeypatch.setattr(exporter, "export", export)
    assert run("-q") == (1, "", "sewd-export: torch cannot export it: line one line two\n")


def test_ctrl_c_is_130_and_leaves_nothing(
    run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(conversion, "write_models", interrupt)
    assert run("-q", tiny, "-o", tmp_path / "a" / "bundle") == (130, "", "sewd-export: interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["a", "b"],
        ["--verify", "a", "-o", "b"],
        ["--int8", "--calibrate", "a"],
        ["--int8", "--evaluate", "a"],
        ["--int8", "--max-wer-increase", "1"],
        ["--int8", "--max-wer-increase", "-1", "--evaluate", "a"],
        ["--int8", "--max-wer-increase", "nan", "--evaluate", "a"],
        ["--fp16", "--max-wer-increase", "1", "--evaluate", "a"],
        ["--verify", "a", "--max-wer-increase", "1", "--evaluate", "a"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "usage: sewd-export" in err


def test_every_precision_but_the_reference_is_a_flag(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def export(*_: Any, precisions: tuple[str, ...], **__: Any) -> None:
        asked.append(precisions)
        raise TraceError("enough")

    monkeypatch.setattr(exporter, "export", export)
    others = [name for name in PRECISIONS if name != "fp32"]
    assert "fp16" in others
    for flags in ([], others, others[:1], [*others[:1], *others[:1]]):
        run(*(f"--{name}" for name in flags))
        assert list(dict.fromkeys(asked.pop())) == ["fp32", *dict.fromkeys(flags)]
    assert run("--verify", "bundle", "--fp16")[0] == 2
    code, out, _ = run("--help")
    assert code == 0
    assert all(f"--{name} " in out for name in others)
    assert "--fp32" not in out


def test_verify_prints_the_table_again(run: Run, exported: Exported, tiny: Path, own_audio: Path) -> None:
    (own_audio / "transcripts.tsv").write_text("mine\tNO WORDS AT ALL\n")
    code, out, err = run("--verify", exported.path, tiny, "--audio", own_audio, "--verbose")
    assert code == 0
    assert out.startswith(f"\nready to ship: {exported.path} matches the original in fp32\n")
    assert "fp32 against the original" in out
    [rates] = [line for line in out.splitlines() if line.startswith("word error rate ")]
    assert rates.endswith(": 4 words")
    assert "mine.wav" in out
    assert err.splitlines()[-1].endswith("done")
    assert run("-q", "--verify", exported.path, tiny) == (0, "", "")


def test_verify_for_machines(run: Run, exported: Exported, tiny: Path) -> None:
    code, out, err = run("--json", "--verify", exported.path, tiny)
    assert (code, err) == (0, "")
    entry = exported.manifest.precisions["fp32"]
    assert json.loads(out) == {
        "bundle": str(exported.path),
        "precisions": {"fp32": dataclasses.asdict(entry.parity)},
        "failures": [],
    }


def test_a_failed_verification_is_still_one_object(
    run: Run, exported: Exported, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = reference.session_candidate

    def broken(session: Any) -> reference.Candidate:
        candidate = honest(session)
        return lambda recordings: [item * np.float32("nan") for item in candidate(recordings)]

    monkeypatch.setattr(reference, "session_candidate", broken)
    code, out, err = run("--json", "--verify", exported.path, tiny)
    assert code == 1
    assert err.startswith("sewd-export: fp32 failed verification on ")
    assert err.count("\n") == 1
    assert "NaN" not in out  # which is not JSON
    found = json.loads(out)
    assert found["precisions"]["fp32"]["max_abs"] is None
    assert len(found["failures"]) == 2 * found["precisions"]["fp32"]["cases"] + 1


@pytest.mark.parametrize("kind", ["absent", "checkpoint", "damaged"])
def test_what_cannot_be_verified_is_one_line(run: Run, bundle: Path, tiny: Path, kind: str) -> None:
    (bundle / "golden.npz").write_bytes(b"")
    target = {"absent": bundle / "absent", "checkpoint": tiny, "damaged": bundle}[kind]
    code, out, err = run("-q", "--verify", target, tiny)
    assert (code, out) == (1, "")
    assert err.startswith("sewd-export: ")
    assert err.count("\n") == 1


def test_finite_keeps_what_json_has() -> None:
    content = {"a": [1], "b": {"c": float("inf"), "d": -0.0, "e": None, "f": True}, "g": float("nan")}
    assert json.loads(json_line(content)) == {
        "a": [1],
        "b": {"c": None, "d": 0.0, "e": None, "f": True},
        "g": None,
    }


@pytest.mark.parametrize("name", ["onnx_ir", "torch"])
def test_without_its_extra_it_says_what_to_install(name: str) -> None:
    program = (
        "import sys; sys.modules[sys.argv.pop(1)] = None; from sewd_export.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", program, name]
    done = subprocess.run([*command, "digits"], capture_output=True, text=True, check=False)
    *stages, last = done.stderr.splitlines()
    assert (done.returncode, done.stdout, len(stages)) == (1, "", 1)
    assert last.startswith(
        f"sewd-export: exporting needs {name}, which is not installed: install the CPU build"
    )
    assert "as https://pytorch.org/get-started says" in last
    assert last.endswith("pip install 'sewd[export]'")
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    assert version.stdout == f"sewd {sewd_runtime.__version__}\n"
    program = f"import sys; sys.modules[{name!r}] = None; import sewd_export; sewd_export.export"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith("sewd_runtime.errors.MissingPackageError: exporting needs")


def test_the_command_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "sewd_export.cli", "empty", "-o", "bundle"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("sewd-export: ")
    assert "config.json" in lines[-1]
    assert all(line.startswith("[") for line in lines[:-1])
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_what_a_killed_run_left_is_named_on_a_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def export(*_: Any, **__: Any) -> None:
        warnings.warn("x\n: left by a run that was killed", ExportWarning, stacklevel=1)
        raise TraceError("enough")

    monkeypatch.setattr(exporter, "export", export)
    with warnings.catch_warnings():
        warnings.simplefilter("default", ExportWarning)
        assert run("-q")[2] == "sewd-export: x\\n: left by a run that was killed\nsewd-export: enough\n"
