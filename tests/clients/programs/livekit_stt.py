"""URL MODEL SAMPLES: LiveKit's plug-in for OpenAI, live and with whole recordings.

SAMPLES is raw, 16 bits at 24 kHz.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from livekit import rtc
from livekit.agents import APIConnectOptions, APIStatusError, utils
from livekit.plugins import openai

url, model, path = sys.argv[1:]
samples = Path(path).read_bytes()
RATE_HZ, FRAME = 24_000, 480


def frames() -> list[rtc.AudioFrame]:
    blocks = [samples[i : i + 2 * FRAME] for i in range(0, len(samples), 2 * FRAME)]
    return [rtc.AudioFrame(block, RATE_HZ, 1, len(block) // 2) for block in blocks]


def make(**options: Any) -> openai.STT:
    return openai.STT(model=model, base_url=f"{url}/v1", api_key="none", language="en", **options)


async def live(**options: Any) -> list[Any]:
    events: list[Any] = []
    stt = make(use_realtime=True, **options)
    async with stt.stream() as stream:

        async def send() -> None:
            for frame in frames():
                stream.push_frame(frame)
                await asyncio.sleep(0)

        sending = asyncio.create_task(send())
        async for event in stream:
            texts = [alternative.text for alternative in event.alternatives]
            events.append([event.type.value, texts[0] if texts else None])
            if event.type.value == "recognition_usage":
                break
        await sending
    await stt.aclose()
    return events


async def recording(**options: Any) -> str:
    event = await make(use_realtime=False, **options).recognize(frames())
    return event.alternatives[0].text


async def unknown_model() -> int:
    stt = openai.STT(model="whisper-1", base_url=f"{url}/v1", api_key="none", use_realtime=False)
    try:
        await stt.recognize(frames(), conn_options=APIConnectOptions(max_retry=0))
    except APIStatusError as error:
        return error.status_code
    raise AssertionError("a model that is not served was")


async def main() -> None:
    async with utils.http_context.open():
        found = {
            "live": await live(),
            "recording": await recording(),
            "keywords": [await live(keywords=["SEVEN=1e9"]), await recording(keywords=["SEVEN=1e9"])],
            "unknown": await unknown_model(),
        }
    print(json.dumps(found))


asyncio.run(main())
