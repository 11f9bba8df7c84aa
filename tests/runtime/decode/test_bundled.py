"""Law: the language model of a bundle has its own weights, and is the default only if it helped at export."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sewd_runtime import Recognizer
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.cli import main
from sewd_runtime.decode.lm.model import BINARY_MAGIC
from sewd_runtime.errors import BundleHashError, LanguageModelError, MissingPackageError
from tests.language_models import list_language_model

CLIP = str(Path(__file__).parents[3] / "export/sewd_export/speech/awb_1.flac")
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def with_lm(broken_bundle: Path) -> Callable[[bool], Path]:
    """Return a function that gives the tiny bundle a language model; default: it is used by default."""

    def make(default: bool) -> Path:
        text, lm = broken_bundle.parent / "text.txt", broken_bundle / "lm.arpa"
        text.write_text("one two three\n")
        assert main(["lm", "build", str(text), "-o", str(lm)]) == 0
        list_language_model(broken_bundle, {"words": 200, "greedy_wer": 0.3, "wer": 0.2, "default": default})
        return broken_bundle

    return make


def transcribe(bundle: Path, *options: str) -> int:
    return main(["transcribe", "--model", str(bundle), *options, CLIP])


def test_beam_search_has_the_bundle_s_model_and_weights(with_lm: Callable[[bool], Path]) -> None:
    pytest.importorskip("kenlm", reason="needs sewd[lm]")
    recognizer = Recognizer.load(with_lm(True), threads=1)
    decoders = recognizer.decoders
    default = decoders.default()
    assert default is decoders.default()
    wide = decoders.beam_search(width=50)
    assert (wide.width, wide.alpha, wide.beta, wide.unknown_score) == (50, 0.7, 1.5, -9.0)
    assert wide.lm is default.lm
    assert dataclasses.replace(wide, width=32) == default
    assert decoders.beam_search(lm=None).lm is None
    assert decoders.beam_search(alpha=0.1).alpha == 0.1
    assert recognizer.transcribe(CLIP) == recognizer.transcribe(CLIP, decoder=default)
    assert recognizer.transcribe_batch([CLIP]) == [recognizer.transcribe(CLIP)]
    stream = recognizer.stream()
    assert stream._committer._decoder is default


def test_the_commands_follow_the_default(with_lm: Callable[[bool], Path], capsys: Capture) -> None:
    pytest.importorskip("kenlm", reason="needs sewd[lm]")
    texts = {}
    for default in (False, True):
        bundle = with_lm(default)
        for options in ((), ("--no-lm",), ("--decoder", "beam"), ("--decoder", "beam", "--no-lm")):
            assert transcribe(bundle, *options) == 0
            texts[default, options] = capsys.readouterr().out
    for default in (False, True):
        other = ("--decoder", "beam") if default else ("--no-lm",)
        assert texts[default, ()] == texts[default, other]
    assert texts[True, ()] != texts[True, ("--no-lm",)]


def test_without_kenlm_it_is_an_error_only_where_it_is_used(
    with_lm: Callable[[bool], Path], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    bundle = with_lm(True)
    monkeypatch.setitem(sys.modules, "kenlm", None)
    assert transcribe(bundle) == 3
    error = capsys.readouterr().err
    assert "pip install 'sewd[lm]'" in error and "--no-lm" in error
    for options in (["--decoder", "greedy"], ["--no-lm"], ["--beam-width", "4", "--no-lm"]):
        assert transcribe(bundle, *options) == 0
    decoders = Recognizer.load(bundle, threads=1).decoders
    with pytest.raises(MissingPackageError):
        decoders.open()
    (bundle / "lm.arpa").unlink()  # is not opened, and not fetched from the Hub, where it is not used
    assert transcribe(with_lm(False)) == 0
    Recognizer.load(bundle, threads=1).decoders.open()
    assert transcribe(bundle, "--decoder", "beam") == 3


def test_its_hash_is_checked_before_it_is_opened(with_lm: Callable[[bool], Path]) -> None:
    pytest.importorskip("kenlm", reason="needs sewd[lm]")
    bundle = with_lm(True)
    lm = bundle / "lm.arpa"
    lm.write_bytes(lm.read_bytes()[:-1] + b" ")
    with pytest.raises(BundleHashError, match=r"lm\.arpa"):
        Recognizer.load(bundle, threads=1).transcribe(CLIP)


def test_a_binary_must_be_named_as_one(
    with_lm: Callable[[bool], Path], rehash: Callable[[Path], None]
) -> None:
    pytest.importorskip("kenlm", reason="needs sewd[lm]")
    lm = with_lm(True) / "lm.arpa"
    lm.write_bytes(BINARY_MAGIC)
    rehash(lm)
    with pytest.raises(LanguageModelError, match=r"lm\.arpa: .* lm\.bin"):
        Recognizer.load(lm.parent, threads=1).transcribe(CLIP)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "../lm.arpa"}, "language_model.file must be lm.arpa"),
        ({"file": "lm.bin"}, "files.lm.bin is missing"),
        ({"wer": 0.3, "default": True}, "default must be false: wer is not below greedy_wer"),
        ({"words": 0}, "greedy_wer must be null for 0 words"),
    ],
)
def test_a_manifest_that_contradicts_itself(
    change: dict[str, Any], message: str, with_lm: Callable[[bool], Path]
) -> None:
    source = with_lm(False) / "bundle.json"
    content = json.loads(source.read_text())
    source.write_text(json.dumps({**content, "language_model": {**content["language_model"], **change}}))
    with pytest.raises(ValueError, match=message):
        open_bundle(source.parent)
