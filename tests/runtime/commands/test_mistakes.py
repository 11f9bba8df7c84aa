"""Mistakes name themselves: what was given, what it is, and what to do."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from sewd_runtime import AudioError, BeamSearch, DecodingError, Recognizer, Transcript
from sewd_runtime._types import AudioSource
from sewd_runtime.audio.folders import expand
from sewd_runtime.cli import main

CLIP = Path(__file__).parents[3] / "export/sewd_export/speech/awb_1.flac"
needs_kenlm = pytest.mark.skipif(find_spec("kenlm") is None, reason="kenlm is not installed")
CHECKPOINT = Path(__file__).parents[3] / "export/sewd_export/models/digits"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(CLIP, "speech.flac")
    for number in (500, 1000):
        (tmp_path / f"trainer_out/checkpoint-{number}").mkdir(parents=True)
    shutil.copytree(CHECKPOINT, "checkpoint")
    (tmp_path / "model.onnx").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "checkpoint", "speech.flac"], "export it first: sewd-export checkpoint -o BUNDLE"),
        (
            ["--model", "trainer_out", "speech.flac"],
            "export one first: sewd-export trainer_out/checkpoint-1000",
        ),
        (["--model", "model.onnx", "speech.flac"], "give the folder of its bundle"),
        (
            ["--model", "nonesuch", "speech.flac"],
            "embedded are: digits, keywords; a checkpoint is exported first",
        ),
        (["--model", "https://example.org/bundle", "speech.flac"], "an address, not a folder"),
        (["--model", "", "speech.flac"], "the name is empty"),
        (["--model", "keywords", "speech.flac"], "use sewd classify"),
        (["https://example.org/speech.flac"], "https://example.org/speech.flac: an address, not a file"),
        ([""], "the name of the recording is empty"),
        (["nofile.wav"], "nofile.wav: No such file"),
        (["empty"], "empty: there is no recording in this folder"),
        (["--hotwords", "nofile.txt", "speech.flac"], "nofile.txt: No such file"),
        (["--lexicon", "nofile.txt", "speech.flac"], "nofile.txt: No such file"),
        pytest.param(["--lm", "nofile.arpa", "speech.flac"], "nofile.arpa", marks=needs_kenlm),
        (["--provider", "gpu", "speech.flac"], "an NVIDIA GPU is 'cuda'"),
        (["--hotword", "seven=abc", "speech.flac"], "'seven=abc' is not TEXT=BONUS"),
    ],
)
def test_what_it_is_and_what_to_do(
    here: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["transcribe", *arguments])
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code in (1, 2, 3)
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_the_command_for_the_other_task_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", "--model", "digits", "speech.flac"]) == 3
    assert "use sewd transcribe" in capsys.readouterr().err


def test_a_folder_is_walked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "clips/deeper").mkdir(parents=True)
    for name in ("b.flac", "a.FLAC", "deeper/c.wav.txt", "deeper/d.flac", "._b.flac"):
        shutil.copy(CLIP, here / "clips" / name)
    assert main(["transcribe", "clips"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["clips/a.FLAC", "clips/b.flac", "clips/deeper/d.flac"]


def test_patterns_that_no_shell_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.wav", "a.wav", "a[1].wav", "ё 語.wav"):
        Path(name).touch()
    assert expand("*.wav") == ["a.wav", "a[1].wav", "b.wav", "ё 語.wav"]
    assert expand("a[1].wav") == ["a[1].wav"]  # a file of that name
    assert expand("none*.wav") == ["none*.wav"]  # an error names it
    assert expand("-") == ["-"]


def test_mistakes_in_python_name_themselves() -> None:
    digits = Recognizer.load(threads=1)
    for one in (str(CLIP), CLIP.read_bytes()):
        with pytest.raises(AudioError, match="a batch is a list of recordings"):
            digits.transcribe_batch(one)  # type: ignore[arg-type]
    with pytest.raises(DecodingError, match=r"decoder: Greedy\(\) or BeamSearch\(\), not 'beam'"):
        digits.transcribe(CLIP, decoder="beam")  # type: ignore[arg-type]
    for wrong in ({"seven": "abc"}, {7: 1.0}):
        with pytest.raises(DecodingError, match=r"give the bonus of each, such as \{'Aachen': 8.0\}"):
            BeamSearch(hotwords=wrong)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        digits.transcribe_batch(["nofile.wav"], errors="ignore")  # type: ignore[call-overload]


def test_a_batch_can_return_the_error_of_each_recording(tmp_path: Path) -> None:
    digits = Recognizer.load(threads=1)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    audios: list[AudioSource] = [
        CLIP,
        broken,
        tmp_path / "missing.wav",
        np.full(16_000, np.nan, np.float32),
        CLIP,
    ]
    results = digits.transcribe_batch(audios, errors="return")
    assert results[0] == results[4] == digits.transcribe(CLIP)
    assert isinstance(results[1], AudioError)
    assert isinstance(results[2], FileNotFoundError)
    assert isinstance(results[3], AudioError)
    assert all(isinstance(each, Transcript) for each in digits.transcribe_batch([CLIP]))
    with pytest.raises(AudioError):
        digits.transcribe_batch(audios)
