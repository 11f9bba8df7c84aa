"""What a server adds to one request, what it takes while it waits, and how soon it is ready."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.serving.clients import post, request_of, run_clients
from benchmarks.serving.clips import Clip
from benchmarks.serving.servers import Server
from sewd_runtime import Recognizer


def measure_overhead(server: Server, recognizer: Recognizer, clip: Clip, rounds: int) -> dict[str, Any]:
    """Send a request and call the library by turns; the overhead is the difference of each pair, in ms.

    recognizer: with as many threads as one of the server's workers.
    """
    differences = asyncio.run(_differences(server, recognizer, clip, rounds))
    p50, p99 = np.percentile(differences, (50, 99))
    return {
        "p50_ms": round(1e3 * float(p50), 2),
        "p99_ms": round(1e3 * float(p99), 2),
        "clip_s": clip.duration_s,
    }


async def _differences(server: Server, recognizer: Recognizer, clip: Clip, rounds: int) -> Sequence[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    request, differences = request_of(clip), []
    for number in range(rounds + 20):
        began = time.perf_counter()
        status, _ = await post(reader, writer, request)
        asked_s = time.perf_counter() - began
        assert status == 200
        began = time.perf_counter()
        recognizer.transcribe(clip.path)
        if number >= 20:
            differences.append(asked_s - (time.perf_counter() - began))
    writer.close()
    return differences


def measure_memory(server: Server, clips: Sequence[Clip], clients: int) -> dict[str, Any]:
    """Return the memory of a server before any request, during uploads of so many clients, and after them."""
    idle_mb = server.resident_mb()
    busy_mb = asyncio.run(_peak(server, clips, clients))
    return {"idle_mb": round(idle_mb), "busy_mb": round(busy_mb), "after_mb": round(server.resident_mb())}


async def _peak(server: Server, clips: Sequence[Clip], clients: int) -> float:
    load = asyncio.create_task(run_clients(server.port, clips, list(range(len(clips))) * 3, clients))
    peak = 0.0
    while not load.done():
        peak = max(peak, server.resident_mb())
        await asyncio.sleep(0.1)
    await load
    return peak


def measure_fairness(
    server: Server, long: Clip, short: Clip, half_minute: Clip, rounds: int
) -> dict[str, Any]:
    """Return a short clip's latency while long recordings run, beside a 30 s clip's on the idle server."""
    return asyncio.run(_fairness(server, long, short, half_minute, rounds))


async def _fairness(
    server: Server, long: Clip, short: Clip, half_minute: Clip, rounds: int
) -> dict[str, Any]:
    async def timed(clip: Clip) -> float:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        began = time.perf_counter()
        await post(reader, writer, request_of(clip))
        writer.close()
        return time.perf_counter() - began

    alone = [await timed(half_minute) for _ in range(10)]
    load = [asyncio.create_task(timed(long)) for _ in range(4)]
    await asyncio.sleep(0.5)
    shorts = []
    while len(shorts) < rounds and not any(task.done() for task in load):
        shorts.append(await timed(short))
        await asyncio.sleep(0.05)
    for task in load:
        task.cancel()
    await asyncio.gather(*load, return_exceptions=True)
    return {
        "half_minute_s": round(float(np.median(alone)), 3),
        "short_p95_s": round(float(np.percentile(shorts, 95)), 3),
        "shorts": len(shorts),
    }
