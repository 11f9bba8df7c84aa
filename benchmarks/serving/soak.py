"""Mixed load for a long time: does memory grow?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from benchmarks.serving.clients import run_clients
from benchmarks.serving.clips import Clip
from benchmarks.serving.servers import Server

_CLIENTS = 16
_WARM_UP = 0.25
"""The share of the time that is warm-up."""


def measure(
    serve: Callable[[], AbstractContextManager[Server]], clips: Sequence[Clip], minutes: float
) -> dict[str, Any]:
    """Post clips of all lengths in random order; return the growth of memory after the warm-up, in percent.

    Growth is that of a straight line through the memory's minima, each of a twentieth of the time.
    """
    with serve() as server:
        memory, requests, errors = asyncio.run(_run(server, clips, 60 * minutes))
    after = np.array([point for point in memory if point[0] >= _WARM_UP * 60 * minutes])
    parts = np.array_split(after, min(20, len(after)))
    times, lows = np.array([(part[:, 0].mean(), part[:, 1].min()) for part in parts]).T
    slope, level = np.polyfit(times - times[0], lows, 1)
    return {
        "minutes": minutes,
        "requests": requests,
        "errors": errors,
        "growth_percent": round(float(100 * slope * (times[-1] - times[0]) / level), 2),
        "peak_mb": round(float(np.max(after[:, 1]))),
        "quarters_mb": [round(float(np.median(part[:, 1]))) for part in np.array_split(np.array(memory), 4)],
    }


async def _run(
    server: Server, clips: Sequence[Clip], seconds: float
) -> tuple[list[tuple[float, float]], int, int]:
    rng, memory, requests, errors = np.random.default_rng(0), [], 0, 0
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        order = rng.permutation(len(clips)).tolist()
        answers = await run_clients(server.port, clips, order, _CLIENTS)
        requests += len(answers)
        errors += sum(answer.status != 200 for answer in answers)
        memory.append((passed, server.resident_mb()))
    return memory, requests, errors
