"""How many live streams a server keeps up with: each speaks in real time, in packets of 40 ms."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.request import urlopen

import numpy as np
import soundfile
import soxr
from websockets.asyncio.client import connect

from benchmarks.serving.clips import Clip
from benchmarks.serving.servers import Server

_RATE_HZ, _PACKET_S = 24_000, 0.04
_LATE_S = 0.5
"""A stream that is answered later than this after its last packet did not keep up."""


def measure_streams(server: Server, clips: Sequence[Clip], streams: int, seconds: float) -> dict[str, Any]:
    """Open so many streams for some seconds; return how late their words came.

    lag: from the arrival of audio to the words that it completed, the server's own metric.
    end: from the commit to the whole text, the client's clock.
    """
    before = _lags(server)
    late = asyncio.run(_run(server, clips, streams, seconds))
    ends = [each["end_s"] for each in late]
    return {
        "streams": streams,
        "words": sum(each["words"] for each in late),
        "failed": sum(each["failed"] for each in late),
        "lag_p95_s": _percentile(_lags(server) - before, 0.95),
        "end_p95_s": round(float(np.percentile(ends, 95)), 3) if ends else None,
        "kept_up": all(not each["failed"] and each["end_s"] < _LATE_S for each in late),
    }


async def _run(server: Server, clips: Sequence[Clip], streams: int, seconds: float) -> list[dict[str, Any]]:
    packets = [_packets(clip, seconds) for clip in clips[: min(len(clips), 8)]]

    async def stream(number: int) -> dict[str, Any]:
        await asyncio.sleep(number * 0.5 / streams)  # not all chunks at one moment
        return await _speak(server, packets[number % len(packets)])

    return await asyncio.gather(*(stream(number) for number in range(streams)))


def _lags(server: Server) -> Counter[float]:
    """Return the server's histogram of lags: upper bound in seconds → count up to it."""
    with urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
        text = answer.read().decode()
    counts = re.findall(r'^sewd_stream_lag_seconds_bucket{le="(.+)"} (.+)$', text, re.M)
    return Counter({float(bound): round(float(count)) for bound, count in counts})


def _percentile(counts: Counter[float], share: float) -> float | None:
    """Return the bound of the first bucket that reaches a share of all; None without a finite one."""
    whole = max(counts.values(), default=0)
    reached = (bound for bound in sorted(counts) if whole and counts[bound] >= share * whole)
    return next((bound for bound in reached if math.isfinite(bound)), None)


def _packets(clip: Clip, seconds: float) -> list[str]:
    """Return the events of a clip, repeated to so many seconds."""
    samples, rate_hz = soundfile.read(clip.path, dtype="float32")
    samples = soxr.resample(np.resize(samples, round(seconds * rate_hz)), rate_hz, _RATE_HZ)
    content = (32767 * np.clip(samples, -1, 1)).astype("<i2").tobytes()
    size = 2 * round(_PACKET_S * _RATE_HZ)
    return [
        json.dumps(
            {
                "type": "input_audio_buffer.append",
                "audio": base64.b64encode(content[first : first + size]).decode(),
            }
        )
        for first in range(0, len(content), size)
    ]


async def _speak(server: Server, packets: Sequence[str]) -> dict[str, Any]:
    """Speak in real time, then commit; return how long the last answer took after the commit."""
    words, failed = 0, 0
    url = f"ws://127.0.0.1:{server.port}/v1/realtime?intent=transcription"
    async with connect(url, max_size=None, compression=None) as socket:
        await socket.send(json.dumps(_SESSION))

        async def listen() -> float:
            nonlocal words, failed
            async for message in socket:
                event = json.loads(message)
                words += event["type"].endswith("input_audio_transcription.delta")
                failed += event["type"] in ("error", "conversation.item.input_audio_transcription.failed")
                if event["type"].endswith("input_audio_transcription.completed") or failed:
                    break
            return time.monotonic()

        listening = asyncio.create_task(listen())
        began = time.monotonic()
        for number, packet in enumerate(packets):
            await asyncio.sleep(max(0.0, began + number * _PACKET_S - time.monotonic()))
            await socket.send(packet)
        committed = time.monotonic()
        await socket.send('{"type": "input_audio_buffer.commit"}')
        ended = await listening
    return {"words": words, "failed": failed, "end_s": ended - committed}


_SESSION = {
    "type": "session.update",
    "session": {
        "type": "transcription",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": _RATE_HZ},
                "turn_detection": None,
            }
        },
    },
}
