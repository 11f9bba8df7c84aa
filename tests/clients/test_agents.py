"""LiveKit's and Pipecat's services for OpenAI, pointed at our server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Ask
from tests.serve.running import RunningServer


@pytest.fixture(scope="module")
def livekit(ask: Ask, server: RunningServer, spoken: Callable[[int], Path]) -> dict[str, Any]:
    found: dict[str, Any] = ask("AGENTS", "livekit_stt", server.url, "gpt-transcribe", spoken(24_000))
    return found


@pytest.fixture(scope="module")
def pipecat(ask: Ask, server: RunningServer, spoken: Callable[[int], Path]) -> dict[str, Any]:
    found: dict[str, Any] = ask("AGENTS", "pipecat_stt", server.url, spoken(16_000))
    return found


def test_livekit_hears_a_turn(livekit: dict[str, Any], expected: str) -> None:
    kinds = [kind for kind, _ in livekit["live"]]
    assert list(dict.fromkeys(kinds)) == [
        "start_of_speech",
        "interim_transcript",
        "end_of_speech",
        "final_transcript",
        "recognition_usage",
    ]
    assert dict(livekit["live"])["final_transcript"] == expected
    assert all(expected.startswith(text) for kind, text in livekit["live"] if kind == "interim_transcript")


def test_livekit_transcribes_a_recording(livekit: dict[str, Any], expected: str) -> None:
    assert livekit["recording"] == expected
    assert livekit["unknown"] == 404


def test_livekits_keywords_are_hotwords(livekit: dict[str, Any], expected: str) -> None:
    live, recording = livekit["keywords"]
    for text in (dict(live)["final_transcript"], recording):
        assert text != expected and set(text.split()) == {"SEVEN"}


@pytest.mark.parametrize("mode", ["commits", "turns"])
def test_pipecat_hears_an_utterance(pipecat: dict[str, Any], expected: str, mode: str) -> None:
    frames = pipecat[mode]
    assert "".join(text for name, text in frames if name == "InterimTranscriptionFrame") == expected
    assert [text for name, text in frames if name == "TranscriptionFrame"] == [expected]
    proposed = [name for name, _ in frames if name.startswith("Proposed")]
    started = ["ProposedUserStartedSpeakingFrame", "ProposedUserStoppedSpeakingFrame"]
    assert proposed == (started if mode == "turns" else [])


def test_pipecat_transcribes_a_whole_utterance(pipecat: dict[str, Any], expected: str) -> None:
    assert [text for name, text in pipecat["whole"] if name == "TranscriptionFrame"] == [expected]
