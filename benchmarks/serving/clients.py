"""A client that costs little: requests made beforehand, sent over open connections."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.serving.clips import Clip

_BOUNDARY = "sewd-benchmark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: the clip's place, the status, the text, and how long it took."""

    clip: int
    status: int
    text: str
    seconds: float


def request_of(clip: Clip, path: str = "/v1/audio/transcriptions") -> bytes:
    """Return a whole request that posts a recording."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="clip.wav"\r\n\r\n'
    body = head.encode() + clip.path.read_bytes() + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, Any]:
    """Send a request over an open connection; return the status and the content of its JSON."""
    writer.write(request)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = next(
        int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")
    )
    return int(head.split()[1]), json.loads(await reader.readexactly(length))


async def run_clients(port: int, clips: Sequence[Clip], order: Sequence[int], clients: int) -> list[Answer]:
    """Post clips in an order, each client the next one as soon as its last is answered."""
    requests = [request_of(clip) for clip in clips]
    waiting = iter(order)
    answers: list[Answer] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for clip in waiting:
            began = time.perf_counter()
            status, content = await post(reader, writer, requests[clip])
            seconds = time.perf_counter() - began
            answers.append(Answer(clip=clip, status=status, text=content.get("text", ""), seconds=seconds))
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return answers
