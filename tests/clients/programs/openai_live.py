"""URL SAMPLES: live transcription by the package ``openai``: turns, commits, and an error.

SAMPLES is raw, 16 bits at 24 kHz.
"""

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI, OpenAI

url, path = sys.argv[1:]
samples = Path(path).read_bytes()
packets = [base64.b64encode(samples[i : i + 4_800]).decode() for i in range(0, len(samples), 4_800)]
DONE = ("conversation.item.input_audio_transcription.completed", "error")


def as_session(**audio: Any) -> Any:
    transcription = {"model": "digits", "language": "en"}
    return {"type": "transcription", "audio": {"input": {"transcription": transcription, **audio}}}


async def by_turns() -> list[Any]:
    """The asynchronous client, which sends and receives at once."""
    client, events = AsyncOpenAI(base_url=f"{url}/v1", api_key="none"), []
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        turns = {"type": "server_vad", "silence_duration_ms": 500}
        await connection.session.update(session=as_session(turn_detection=turns))

        async def send() -> None:
            for packet in packets:
                await connection.input_audio_buffer.append(audio=packet)

        sending = asyncio.create_task(send())
        async for event in connection:
            events.append(event)
            if event.type in DONE:
                break
        await sending
    return events


def by_commits() -> list[Any]:
    """The synchronous client, with a model in the address."""
    client, events = OpenAI(base_url=f"{url}/v1", api_key="none"), []
    with client.realtime.connect(model="digits", extra_query={"intent": "transcription"}) as connection:
        connection.session.update(session={**as_session(turn_detection=None), "sewd": {"pending": True}})
        connection.input_audio_buffer.commit()
        while not events or events[-1].type != "error":
            events.append(connection.recv())
        for packet in packets:
            connection.input_audio_buffer.append(audio=packet)
        connection.input_audio_buffer.commit()
        while events[-1].type != DONE[0]:
            events.append(connection.recv())
    return events


def as_json(events: list[Any]) -> list[Any]:
    return [{"class": type(event).__name__, **event.model_dump()} for event in events]


secret = OpenAI(base_url=f"{url}/v1", api_key="none").realtime.client_secrets.create(
    session={"type": "transcription"}, expires_after={"anchor": "created_at", "seconds": 60}
)
print(
    json.dumps(
        {
            "turns": as_json(asyncio.run(by_turns())),
            "commits": as_json(by_commits()),
            "secret": secret.model_dump(),
        }
    )
)
