from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sewd_runtime import BeamSearch, Greedy
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.cli import main
from sewd_runtime.commands._decoding import add_decoding, check_decoding, decoder_of
from sewd_runtime.decode.bundled import BundleDecoders
from sewd_runtime.errors import HotwordError, LanguageModelError
from sewd_runtime.recognizer import Recognizer

Capture = pytest.CaptureFixture[str]
Misuse = Callable[..., str]
CLIPS = Path(__file__).parents[3] / "export/sewd_export/speech"


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.set_defaults(error=parser.error)
    add_decoding(parser, n_best=True)
    return parser.parse_args(arguments)


@pytest.fixture
def decoders(tiny_bundle: Path) -> BundleDecoders:
    return BundleDecoders(open_bundle(tiny_bundle))


def test_what_is_given_chooses_the_decoder(tmp_path: Path, decoders: BundleDecoders) -> None:
    (tmp_path / "hot.txt").write_text("# places\nAachen=8\n\nNew York = 6.5\n")
    (tmp_path / "words.txt").write_text("one\ntwo\n")
    for none in ((), ("--decoder", "greedy"), ("--no-lm",)):
        assert decoder_of(parse(*none), decoders) == Greedy()
    assert decoder_of(parse("--decoder", "beam"), decoders) == BeamSearch()
    assert decoder_of(parse("--beam-width", "5", "--n-best", "3"), decoders) == BeamSearch(
        width=5, alternatives=3
    )
    found = decoder_of(
        parse("--hotwords", str(tmp_path / "hot.txt"), "--hotword", "a=b=2", "--hotword", "Aachen=1"),
        decoders,
    )
    assert found == BeamSearch(hotwords={"Aachen": 1.0, "New York": 6.5, "a=b": 2.0})
    words = decoder_of(parse("--lexicon", str(tmp_path / "words.txt")), decoders)
    assert words == BeamSearch(lexicon=frozenset({"one", "two"}))


def test_a_language_model_is_opened(tmp_path: Path, decoders: BundleDecoders) -> None:
    pytest.importorskip("kenlm", reason="needs sewd[lm]")
    (tmp_path / "text.txt").write_text("one two\n")
    assert main(["lm", "build", str(tmp_path / "text.txt"), "-o", str(tmp_path / "lm.arpa")]) == 0
    options = parse(
        "--lm", str(tmp_path / "lm.arpa"), "--alpha", "0.3", "--beta", "2", "--unknown-score", "-9"
    )
    found = decoder_of(options, decoders)
    assert isinstance(found, BeamSearch)
    assert (found.alpha, found.beta, found.unknown_score) == (0.3, 2.0, -9.0)
    assert found.lm is not None
    assert found.lm.level == "word"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--decoder", "greedy", "--beam-width", "4"], "--beam-width needs --decoder beam"),
        (["--decoder", "greedy", "--hotword", "a=1"], "--hotword needs --decoder beam"),
        (["--lm", "a.arpa", "--no-lm"], "--lm and --no-lm contradict each other"),
        (["--alpha", "1", "--no-lm"], "--alpha needs a language model: leave out --no-lm"),
        (["--lm-level", "character"], "--lm-level needs --lm"),
    ],
)
def test_options_that_contradict_one_another(arguments: list[str], message: str, misuse: Misuse) -> None:
    for command in ("transcribe", "stream"):
        assert misuse(command, *arguments, "a.wav") == f"sewd {command}: error: {message}"
    check_decoding(parse("--decoder", "beam", "--beam-width", "4"))


@pytest.mark.parametrize("text", ["Aachen", "=8", "Aachen=", "Aachen=x", ""])
def test_hotwords_that_cannot_be_read(text: str, tmp_path: Path, decoders: BundleDecoders) -> None:
    with pytest.raises(argparse.ArgumentError, match="TEXT=BONUS"):
        parse("--hotword", text)
    (tmp_path / "hot.txt").write_text(f"a=1\n {text} \n")
    if text:
        with pytest.raises(HotwordError, match=r"hot\.txt:2: .*TEXT=BONUS"):
            decoder_of(parse("--hotwords", str(tmp_path / "hot.txt")), decoders)


def transcribe(bundle: Path, *arguments: str) -> int:
    return main(["transcribe", "--model", str(bundle), "--threads", "1", *arguments])


def test_wrong_usage_is_reported_before_anything_runs(misuse: Misuse) -> None:
    assert misuse("transcribe", "--n-best", "2", "none.wav").endswith("--n-best needs --json")


def test_weights_need_a_language_model(decoders: BundleDecoders) -> None:
    with pytest.raises(LanguageModelError, match="--alpha needs --lm: the bundle has no language model"):
        decoder_of(parse("--alpha", "1"), decoders)


def test_a_language_model_that_is_not_there(tiny_bundle: Path, capsys: Capture) -> None:
    pytest.importorskip("kenlm", reason="needs sewd[lm]")
    assert transcribe(tiny_bundle, "--lm", "none.arpa", "none.wav") == 3
    assert "none.arpa" in capsys.readouterr().err


def test_the_readings_stand_in_the_json(tiny_bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "noise.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 20_000), 16_000)
    assert transcribe(tiny_bundle, "--n-best", "3", "--json", str(path)) == 0
    found = json.loads(capsys.readouterr().out)
    [readings] = found["alternatives"]
    assert len(readings) == 3
    assert readings[0]["text"] == found["text"]
    scores = [reading["score"] for reading in readings]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.skipif(not CLIPS.is_dir(), reason="not a checkout")
def test_hotwords_and_batches_through_the_recognizer() -> None:
    model = Recognizer.load(threads=1)
    clips = sorted(str(path) for path in CLIPS.glob("*.flac"))
    for decoder in (
        BeamSearch(),
        BeamSearch(hotwords={"nine": 6.0, "oh no": 1.0}),
        BeamSearch(lexicon=["one"]),
    ):
        together = [result.text for result in model.transcribe_batch(clips, decoder=decoder)]
        assert together == [model.transcribe(clip, decoder=decoder).text for clip in clips]
    assert set(" ".join(together).split()) <= {"ONE"}
