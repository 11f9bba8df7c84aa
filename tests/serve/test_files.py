"""Recordings over HTTP: every answer is what ``sewd transcribe`` writes."""

from pathlib import Path

import pytest

from sewd_runtime import Recognizer, as_srt, as_vtt
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
