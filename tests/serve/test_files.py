"""Recordings over HTTP: every answer is what ``sewd transcribe`` writes."""

import sys
from pathlib import Path

import pytest

from sewd_runtime import Recognizer, as_srt, as_vtt
from sewd_serve.api.recordings import _recording
from sewd_serve.errors import UnsupportedMediaError
from sewd_serve.uploads import Form
from tests.serve.running import RunningServer

CLIPS = sorted((Path(__file__).parents[2] / "export/sewd_export/speech").glob("*.flac"))


@pytest.fixture(scope="module")
def digits() -> Recognizer:
    return Recognizer.load(threads=1)


def test_each_format_is_that_of_the_command(server: RunningServer, digits: Recognizer) -> None:
    for clip in CLIPS:
        transcript = digits.transcribe(clip)
        assert server.transcribe(clip)["text"] == transcript.text
        assert server.transcribe(clip, response_format="text") == f"{transcript.text}\n"
        assert server.transcribe(clip, response_format="srt") == as_srt(transcript)
        assert server.transcribe(clip, response_format="vtt") == as_vtt(transcript)
        verbose = server.transcribe(
            clip, response_format="verbose_json", **{"timestamp_granularities[]": ["word", "segment"]}
        )
        assert verbose["text"] == transcript.text
        assert [(word["word"], word["start"], word["end"]) for word in verbose["words"]] == [
            (word.text, word.start_s, word.end_s) for word in transcript.words
        ]


@pytest.mark.parametrize(("muxer", "codec"), [("webm", "libopus"), ("mp4", "aac")])
def test_what_browsers_record_is_read(
    server: RunningServer, digits: Recognizer, tmp_path: Path, muxer: str, codec: str
) -> None:
    av = pytest.importorskip("av", reason="needs PyAV: pip install 'sewd[media]'")
    path = tmp_path / "recording.wav"  # by its content, not by its name
    with av.open(CLIPS[0]) as clip, av.open(path, "w", format=muxer) as container:
        stream = container.add_stream(codec, rate=48_000, layout="mono")
        for frame in clip.decode(audio=0):
            frame.pts = None
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    text = server.transcribe(path)["text"]
    assert text == digits.transcribe(path).text
    assert text == digits.transcribe(CLIPS[0]).text


@pytest.mark.parametrize("begin", [b"\x1a\x45\xdf\xa3", b"\0\0\0\x20ftypM4A "], ids=["webm", "m4a"])
def test_without_pyav_containers_of_browsers_are_refused_by_name(
    begin: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    form = Form(path=Path("a"), head=begin, is_received=True)
    with pytest.raises(UnsupportedMediaError, match=r"pip install 'sewd\[media\]' on the server") as refused:
        _recording(form)
    assert refused.value.status == 415
