"""A client of ``/v1/realtime`` that keeps every event, and the words that a stream of the runtime hears."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray
from websockets.sync.client import ClientConnection, connect

from sewd_runtime import Recognizer, Streaming, Turn, Word, read_audio
from tests.serve.running import RunningServer

CLIPS = sorted((Path(__file__).parents[2] / "export/sewd_export/speech").glob("*.flac"))
TRANSCRIPTION = "conversation.item.input_audio_transcription"
PACKET_BYTES = 4_800


def speech(path: Path, rate_hz: int = 24_000) -> NDArray[np.int16]:
    """A recording as the 16-bit samples that a client sends."""
    samples = soxr.resample(read_audio(path, sample_rate_hz=16_000), 16_000, rate_hz)
    return np.clip(np.round(samples * 32_768), -32_768, 32_767).astype("<i2")


def silence(seconds: float, rate_hz: int = 24_000) -> NDArray[np.int16]:
    return np.zeros(round(seconds * rate_hz), "<i2")


def heard_by_stream(
    recognizer: Recognizer,
    samples: NDArray[np.int16],
    rate_hz: int = 24_000,
    streaming: Streaming | None = None,
) -> tuple[list[Word], list[Turn]]:
    """The words and turns of a stream of the runtime."""
    stream = recognizer.stream(sample_rate_hz=rate_hz, streaming=streaming or Streaming())
    partials = [stream.feed(samples), stream.finish()]
    words = [word for partial in partials for word in partial.committed]
    return words, [turn for partial in partials for turn in partial.turns]


def text_of(words: list[Word]) -> str:
    return " ".join(word.text for word in words)


class RealtimeClient:
    """One session; events are all that the server has sent."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []

    def send(self, kind: str, **fields: Any) -> None:
        self.connection.send(json.dumps({"type": kind, **fields}))

    def update(self, *, sewd: dict[str, bool] | None = None, **audio: Any) -> dict[str, Any]:
        """Set fields of ``audio.input``, and return the event that answers."""
        extensions = {} if sewd is None else {"sewd": sewd}
        self.send(
            "session.update", session={"type": "transcription", "audio": {"input": audio}, **extensions}
        )
        return self.wait_for("session.updated", "error")

    def append(self, content: bytes | NDArray[np.int16], *, packet_bytes: int = PACKET_BYTES) -> None:
        content = content if isinstance(content, bytes) else content.tobytes()
        for begin in range(0, len(content), packet_bytes):
            packet = base64.b64encode(content[begin : begin + packet_bytes]).decode()
            self.send("input_audio_buffer.append", audio=packet)

    def commit(self) -> None:
        self.send("input_audio_buffer.commit")

    def receive(self, timeout_s: float = 60) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.connection.recv(timeout_s))
        self.events.append(event)
        return event

    def wait_for(self, *kinds: str, timeout_s: float = 60) -> dict[str, Any]:
        while (event := self.receive(timeout_s))["type"] not in kinds:
            assert event["type"] != "error", event
        return event

    def transcript(self) -> str:
        """The next completed transcript, which is all its deltas."""
        completed = self.wait_for(f"{TRANSCRIPTION}.completed")
        deltas = [
            event["delta"]
            for event in self.all(f"{TRANSCRIPTION}.delta")
            if event["item_id"] == completed["item_id"]
        ]
        assert "".join(deltas) == completed["transcript"]
        return str(completed["transcript"])

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]


@contextmanager
def session(
    server: RunningServer, query: str = "?intent=transcription", **options: Any
) -> Iterator[RealtimeClient]:
    """Connect, and wait for ``session.created``."""
    url = f"{server.url.replace('http', 'ws', 1)}/v1/realtime{query}"
    with connect(url, max_size=None, **options) as connection:
        client = RealtimeClient(connection)
        assert client.receive()["type"] == "session.created"
        yield client
