"""The inference process as the server's tasks see it."""

import asyncio

import pytest

from sewd_serve import process
from sewd_serve.process import InferenceProcess
from sewd_serve.worker.messages import Bundle, Setup


def test_it_can_be_stopped_at_any_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the moment in which the answer to a ping arrives: the watch must not live on."""
    monkeypatch.setattr(process, "_PING_S", 0.0)
    setup = Setup(
        bundles=(Bundle(name="digits", path=None),), precision=None, provider="cpu", workers=1, threads=1
    )

    async def start_and_stop() -> None:
        inference = InferenceProcess(setup, stalled_s=30.0)
        await inference.start()
        for moment in range(100):
            await asyncio.sleep(0.0003 * (moment % 7))
            *others, watch = inference._tasks
            watch.cancel()
            done, _ = await asyncio.wait({watch}, timeout=10)
            assert done
            inference._tasks = [*others, asyncio.create_task(inference._watch())]
        await inference.stop()

    asyncio.run(start_and_stop())
