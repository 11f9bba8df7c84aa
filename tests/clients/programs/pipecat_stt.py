"""URL SAMPLES: Pipecat's services for OpenAI in a pipeline, live and with whole utterances.

SAMPLES is raw, 16 bits at 16 kHz.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.stt import OpenAIRealtimeSTTService, OpenAISTTService
from pipecat.workers.runner import WorkerRunner

url, path = sys.argv[1:]
samples = Path(path).read_bytes()
RATE_HZ, FRAME_BYTES = 16_000, 640
logger.remove()


class Sink(FrameProcessor):
    """Keeps the texts that arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[str, str]] = []
        self.is_done = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        name = type(frame).__name__
        if hasattr(frame, "text") or "UserSt" in name:
            self.frames.append((name, getattr(frame, "text", "")))
        if isinstance(frame, TranscriptionFrame):
            self.is_done.set()
        await self.push_frame(frame, direction)


async def run(service: FrameProcessor) -> list[tuple[str, str]]:
    sink, is_started = Sink(), asyncio.Event()
    params = PipelineParams(audio_in_sample_rate=RATE_HZ)
    worker = PipelineWorker(Pipeline([service, sink]), params=params, cancel_on_idle_timeout=False)

    @worker.event_handler("on_pipeline_started")
    async def started(*_: Any) -> None:
        is_started.set()

    async def speak() -> None:
        await is_started.wait()
        await worker.queue_frame(VADUserStartedSpeakingFrame())
        for begin in range(0, len(samples), FRAME_BYTES):
            audio = samples[begin : begin + FRAME_BYTES]
            await worker.queue_frame(InputAudioRawFrame(audio, RATE_HZ, 1))
            await asyncio.sleep(0.002)
        await worker.queue_frame(VADUserStoppedSpeakingFrame())
        await asyncio.wait_for(sink.is_done.wait(), 60)
        await worker.queue_frame(EndFrame())

    runner = WorkerRunner()
    await runner.add_workers(worker)
    await asyncio.gather(runner.run(), speak())
    return sink.frames


def live(**options: Any) -> OpenAIRealtimeSTTService:
    settings = OpenAIRealtimeSTTService.Settings(model="digits")
    address = f"{url.replace('http', 'ws', 1)}/v1/realtime"
    return OpenAIRealtimeSTTService(api_key="none", base_url=address, settings=settings, **options)


async def main() -> None:
    settings = OpenAISTTService.Settings(model="digits", keywords=["SEVEN"])
    whole = OpenAISTTService(api_key="none", base_url=f"{url}/v1", settings=settings)
    found = {
        "commits": await run(live()),
        "turns": await run(live(turn_detection={"type": "server_vad"})),
        "whole": await run(whole),
    }
    print(json.dumps(found))


asyncio.run(main())
