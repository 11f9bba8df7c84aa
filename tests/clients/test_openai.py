"""The package ``openai`` gets what the runtime reads, and errors as its own exceptions."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from sewd_runtime import Recognizer, as_srt, as_vtt
from tests.clients.conftest import Ask
from tests.environments import python_of
from tests.serve.running import RunningServer, running

TRANSCRIPTION = "conversation.item.input_audio_transcription"
ENDPOINT = "/v1/audio/transcriptions"


@pytest.fixture(scope="module")
def recordings(ask: Ask, server: RunningServer, clip: Path) -> dict[str, Any]:
    found: dict[str, Any] = ask("OPENAI", "openai_recordings", server.url, "none", clip)
    return found


def test_every_format_is_that_of_the_runtime(
    recordings: dict[str, Any], digits: Recognizer, clip: Path
) -> None:
    transcript = digits.transcribe(clip)
    assert recordings["json"] == recordings["ignored"] == transcript.text
    assert recordings["text"] == f"{transcript.text}\n"
    assert recordings["srt"] == as_srt(transcript)
    assert recordings["vtt"] == as_vtt(transcript)
    assert recordings["usage"] == {"type": "duration", "seconds": round(transcript.duration_s)}


def test_verbose_answers_have_words_or_segments_or_both(
    recordings: dict[str, Any], digits: Recognizer, clip: Path
) -> None:
    transcript = digits.transcribe(clip)
    words = [(word.text, word.start_s, word.end_s) for word in transcript.words]
    segments = [(segment.text, segment.start_s, segment.end_s) for segment in transcript.segments]
    for name, has_words, has_segments in (
        ("verbose_json", False, True),
        ("words", True, False),
        ("both", True, True),
    ):
        answer = recordings[name]
        assert (answer["text"], answer["duration"]) == (transcript.text, transcript.duration_s)
        assert answer["language"] == "en"
        found = [(word["word"], word["start"], word["end"]) for word in answer["words"] or []]
        assert found == (words if has_words else [])
        found = [(part["text"], part["start"], part["end"]) for part in answer["segments"] or []]
        assert found == (segments if has_segments else [])


def test_a_stream_of_events_is_the_text(recordings: dict[str, Any], digits: Recognizer, clip: Path) -> None:
    *deltas, done = recordings["stream"]
    assert {event["type"] for event in deltas} == {"transcript.text.delta"}
    assert done["type"] == "transcript.text.done"
    assert "".join(event["delta"] for event in deltas) == done["text"] == digits.transcribe(clip).text


def test_models_are_listed(recordings: dict[str, Any]) -> None:
    assert recordings["models"] == ["digits", "gpt-transcribe"]
    assert recordings["model"] == "digits"


def test_errors_are_its_exceptions(recordings: dict[str, Any]) -> None:
    assert {name: tuple(error) for name, error in recordings["errors"].items()} == {
        "no audio": ("BadRequestError", 400, "invalid_audio", "file"),
        "speakers": ("BadRequestError", 400, None, "response_format"),
        "language": ("BadRequestError", 400, None, "language"),
        "model": ("NotFoundError", 404, "model_not_found", "model"),
        "retrieve": ("NotFoundError", 404, "model_not_found", "model"),
    }


WITHOUT_MEDIA = """
import sys

sys.modules["av"] = None  # as if the extra media was not installed
from sewd_runtime.cli import main

sys.exit(main(["serve", "--port", "0", *sys.argv[1:]]))
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with a key, with room for one recording, and without the extra ``media``."""
    python_of("OPENAI")
    folder = tmp_path_factory.mktemp("small")
    (folder / "keys").write_text("secret\n")
    arguments = ("--api-key-file", str(folder / "keys"), "--queue", "1")
    with running(*arguments, log=folder / "log", program=("-c", WITHOUT_MEDIA)) as server:
        yield server


def test_a_container_that_is_not_read(ask: Ask, small: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "a.webm").write_bytes(b"\x1a\x45\xdf\xa3" + bytes(100))
    error = ask("OPENAI", "openai_error", small.url, "secret", tmp_path / "a.webm", 0)
    assert error == ["APIStatusError", 415, "unsupported_format"]


def test_a_wrong_key(ask: Ask, small: RunningServer, clip: Path) -> None:
    error = ask("OPENAI", "openai_error", small.url, "guess", clip, 0)
    assert error == ["AuthenticationError", 401, "invalid_api_key"]


def test_a_full_queue(ask: Ask, small: RunningServer, clip: Path) -> None:
    headers = (
        f"POST {ENDPOINT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", small.port)) as slow:
        slow.sendall(headers.encode())
        error = ask("OPENAI", "openai_error", small.url, "secret", clip, 10)
    assert error == ["RateLimitError", 429, "queue_full"]


def test_a_killed_worker(ask: Ask, small: RunningServer, clip: Path) -> None:
    """Kill it after the first answer, while the client asks again and again."""
    answered = f'sewd_requests_total{{endpoint="{ENDPOINT}",status="200"}}'
    small.client.headers["Authorization"] = "Bearer secret"
    before, has_ended = small.metric(answered), Event()

    def kill() -> None:
        while not has_ended.wait(0.05):
            if small.metric(answered) > before:
                os.kill(small.worker_pid(), signal.SIGKILL)
                return

    killer = Thread(target=kill)
    killer.start()
    try:
        error = ask("OPENAI", "openai_error", small.url, "secret", clip, 60)
    finally:
        has_ended.set()
        killer.join()
    assert error == ["InternalServerError", 503, "unavailable"]


@pytest.fixture(scope="module")
def live(ask: Ask, server: RunningServer, spoken: Callable[[int], Path]) -> dict[str, Any]:
    found: dict[str, Any] = ask("OPENAI", "openai_live", server.url, spoken(24_000))
    return found


@pytest.mark.parametrize("mode", ["turns", "commits"])
def test_live_deltas_are_the_transcript(live: dict[str, Any], expected: str, mode: str) -> None:
    events = live[mode]
    deltas = [event["delta"] for event in events if event["type"] == f"{TRANSCRIPTION}.delta"]
    assert len(deltas) > 1
    assert "".join(deltas) == events[-1]["transcript"] == expected


def test_live_events_are_of_its_types(live: dict[str, Any]) -> None:
    names = [event["class"] for event in live["turns"]]
    assert list(dict.fromkeys(names)) == [
        "SessionCreatedEvent",
        "SessionUpdatedEvent",
        "InputAudioBufferSpeechStartedEvent",
        "ConversationItemInputAudioTranscriptionDeltaEvent",
        "InputAudioBufferSpeechStoppedEvent",
        "InputAudioBufferCommittedEvent",
        "ConversationItemAdded",
        "ConversationItemDone",
        "ConversationItemInputAudioTranscriptionCompletedEvent",
    ]
    items = {event["item_id"] for event in live["turns"] if "item_id" in event}
    assert len(items) == 1
    session = live["turns"][1]["session"]["audio"]["input"]
    assert session["transcription"]["model"] == "digits"
    assert session["turn_detection"]["silence_duration_ms"] == 500
    assert live["turns"][-1]["usage"]["type"] == "duration"


def test_a_live_error_leaves_the_connection(live: dict[str, Any]) -> None:
    [error] = [event["error"] for event in live["commits"] if event["type"] == "error"]
    assert error["code"] == "input_audio_buffer_commit_empty"
    assert any(event["type"] == "sewd.pending" for event in live["commits"])


def test_client_secrets(live: dict[str, Any]) -> None:
    assert live["secret"]["value"].startswith("ek_")
    assert live["secret"]["session"]["type"] == "transcription"
