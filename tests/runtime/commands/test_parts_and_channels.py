"""``--start``, ``--duration``, ``--channel`` and ``--ffmpeg``: true times, and each channel on its own."""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sewd_runtime.cli import main
from sewd_runtime.commands._command import parse_seconds, parse_time
from sewd_runtime.inference.network import Network
from sewd_runtime.long import steps

Capture = pytest.CaptureFixture[str]
RATE_HZ = 16_000
SPOKEN = {1: ((0.5, 3.0), (9.0, 11.0)), 2: ((4.0, 8.0), (12.0, 15.5))}
"""Channel → when there is sound."""


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two channels that take turns."""
    random = np.random.default_rng(0)
    samples = random.normal(0, 1e-4, (16 * RATE_HZ, 2))
    for channel, spans in SPOKEN.items():
        for begin_s, end_s in spans:
            first, last = round(begin_s * RATE_HZ), round(end_s * RATE_HZ)
            samples[first:last, channel - 1] = random.normal(0, 0.1, last - first)
    path = tmp_path_factory.mktemp("call") / "call.flac"
    soundfile.write(path, samples, RATE_HZ)
    return path


def sewd(command: str, bundle: Path, *arguments: object) -> int:
    return main([command, "--model", str(bundle), "--threads", "1", *map(str, arguments)])


def as_json(capsys: Capture) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    del content["file"]
    return content


def test_split_is_each_channel_without_silence(tiny_bundle: Path, call: Path, capsys: Capture) -> None:
    assert sewd("transcribe", tiny_bundle, "--channel", "split", "--json", call) == 0
    words = as_json(capsys)["words"]
    for channel in SPOKEN:
        assert sewd("transcribe", tiny_bundle, "--channel", channel, "--vad", "--json", call) == 0
        alone = [{**word, "channel": channel} for word in as_json(capsys)["words"]]
        assert alone
        assert [word for word in words if word["channel"] == channel] == alone


def test_split_words_lie_where_their_channel_speaks(tiny_bundle: Path, call: Path, capsys: Capture) -> None:
    assert sewd("transcribe", tiny_bundle, "--channel", "split", "--json", call) == 0
    words = as_json(capsys)["words"]
    assert {word["channel"] for word in words} == {1, 2}
    for word in words:
        spans = SPOKEN[word["channel"]]
        assert any(begin - 0.5 <= word["start_s"] <= word["end_s"] <= end + 0.5 for begin, end in spans)


@pytest.mark.parametrize(
    ("text", "time_s"),
    [
        ("5", 5),
        ("2.5", 2.5),
        ("0:05", 5),
        ("90:00", 5400),
        ("1:02:03.25", 3723.25),
        ("0:0", None),
        ("1:60:00", None),
    ],
)
def test_a_time_is_in_seconds_or_as_on_a_clock(text: str, time_s: float | None) -> None:
    if time_s is None:
        with pytest.raises(argparse.ArgumentTypeError, match="is not a time in seconds, or as 1:02:03"):
            parse_time(text)
    else:
        assert parse_time(text) == parse_seconds(text) == time_s


@pytest.mark.parametrize("command", ["transcribe", "align"])
def test_times_of_a_part_count_from_the_start(
    command: str, tiny_bundle: Path, call: Path, tmp_path: Path, capsys: Capture
) -> None:
    samples, _ = soundfile.read(call, dtype="float32")
    cut = tmp_path / "cut.wav"
    soundfile.write(cut, samples[4 * RATE_HZ : 7 * RATE_HZ], RATE_HZ, subtype="FLOAT")
    assert sewd("transcribe", tiny_bundle, "--json", cut) == 0
    expected = as_json(capsys)
    text = ["--text", expected["words"][0]["text"]] if command == "align" else []
    if text:
        assert sewd(command, tiny_bundle, "--json", *text, cut) == 0
        expected = as_json(capsys)
    assert sewd(command, tiny_bundle, "--json", *text, "--start", 4, "--duration", 3, call) == 0
    part = as_json(capsys)
    assert (part["text"], part["duration_s"]) == (expected["text"], 7.0)
    for kind in ("start_s", "end_s"):
        assert [word[kind] - 4 for word in part["words"]] == pytest.approx(
            [word[kind] for word in expected["words"]]
        )


def test_times_of_a_stream_count_from_the_start(tiny_bundle: Path, call: Path, capsys: Capture) -> None:
    assert sewd("stream", tiny_bundle, "--json", "--start", 9, "--duration", 3, call) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    starts = [word["start_s"] for line in lines for word in line["committed"]]
    assert starts
    assert all(9 <= start <= 12 for start in starts)


def interrupt_after(monkeypatch: pytest.MonkeyPatch, runs: int) -> None:
    run, count = Network.run_each, [0]

    def counted(self: Network, recordings: Any) -> Any:
        if count[0] == runs:
            raise KeyboardInterrupt
        count[0] += 1
        return run(self, recordings)

    monkeypatch.setattr(Network, "run_each", counted)


@pytest.mark.parametrize("runs", [0, 1, 2, 3])
def test_an_interrupted_split_resumes(
    runs: int, tiny_bundle: Path, call: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_GROUP_SAMPLES", 20_000)
    split = ["--channel", "split", "--json", call, "--output"]
    assert sewd("transcribe", tiny_bundle, *split, tmp_path / "whole") == 0
    with monkeypatch.context() as patch:
        interrupt_after(patch, runs)
        assert sewd("transcribe", tiny_bundle, *split, tmp_path / "out") == 130
    assert list((tmp_path / "out").glob("call.channel*.partial.jsonl"))
    assert sewd("transcribe", tiny_bundle, *split, tmp_path / "out", "--resume") == 0
    expected = (tmp_path / "whole" / "call.json").read_text()
    assert (tmp_path / "out" / "call.json").read_text() == expected
    assert not list((tmp_path / "out").glob("*.partial.jsonl"))


def test_an_interrupted_split_writes_the_text_so_far(
    tiny_bundle: Path, call: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(steps, "_GROUP_SAMPLES", 20_000)
    interrupt_after(monkeypatch, 3)
    assert sewd("transcribe", tiny_bundle, "--channel", "split", "--json", call) == 130
    assert {word["channel"] for word in as_json(capsys)["words"]} == {1, 2}


def test_a_journal_of_another_part_is_refused(
    tiny_bundle: Path, call: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(steps, "_GROUP_SAMPLES", 20_000)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 1)
        assert sewd("transcribe", tiny_bundle, "--vad", "--output", tmp_path, "--channel", 1, call) == 130
    resumed = ("--vad", "--output", tmp_path, "--resume", "--channel", 2, call)
    assert sewd("transcribe", tiny_bundle, *resumed) == 1
    assert "belongs to another run" in capsys.readouterr().err


def test_what_cannot_be_split_is_named(
    tiny_bundle: Path, call: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    many = tmp_path / "many.wav"
    soundfile.write(many, np.zeros((1_000, 17)), RATE_HZ)
    assert sewd("transcribe", tiny_bundle, "--channel", "split", many, tmp_path / "none.wav") == 1
    errors = capsys.readouterr().err
    assert "has 17 channels, and --channel split takes up to 16; choose one with --channel N" in errors
    assert "none.wav: No such file" in errors
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(call.read_bytes())))
    assert sewd("transcribe", tiny_bundle, "--channel", "split", "-") == 1
    assert "give a file, not stdin" in capsys.readouterr().err
    assert sewd("transcribe", tiny_bundle, "--channel", 3, call) == 1
    assert "call.flac: has 2 channels; there is no channel 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("transcribe", "--channel", "0", "a"), "'0' is not mix, split or the number of a channel, from 1"),
        (("align", "--text", "a", "--channel", "split", "a"), "'split' is not mix or the number"),
        (("transcribe", "--start", "-1", "a"), "'-1' is not a time in seconds, or as 1:02:03.5"),
        (("transcribe", "--start", "0:60", "a"), "'0:60' is not a time"),
        (("transcribe", "--duration", "0:00", "a"), "'0:00' is not a time above 0"),
        (("transcribe", "--max-duration", "nan", "a"), "'nan' is not a time"),
        (("transcribe", "--channel", "split", "--n-best", "2", "a"), "which --channel split cuts into turns"),
        (("stream", "--microphone", "--start", "1"), "are for a FILE, or stdin without --rate"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], message: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as exit_code:
        main([*arguments])
    assert exit_code.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")
def test_the_program_is_used_only_if_it_is_allowed(
    tiny_bundle: Path, call: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    av = pytest.importorskip("av", reason="needs PyAV to write the file")
    path = tmp_path / "folder" / "call.mka"
    path.parent.mkdir()
    with av.open(call) as source, av.open(path, "w", format="matroska") as target:
        stream = target.add_stream("flac", rate=RATE_HZ, layout="stereo")
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    assert sewd("transcribe", tiny_bundle, call) == 0
    expected = capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "av", None)
    assert sewd("transcribe", tiny_bundle, path) == 1
    assert "pip install 'sewd[media]' (or allow ffmpeg: --ffmpeg, ffmpeg=True)" in capsys.readouterr().err
    assert sewd("transcribe", tiny_bundle, "--ffmpeg", path.parent) == 0
    assert capsys.readouterr().out == expected
