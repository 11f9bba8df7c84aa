"""Home Assistant's protocol, spoken by its own client."""

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wyoming.asr import Transcribe, Transcript, TranscriptChunk
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info

from sewd_runtime import Recognizer
from tests.serve.realtime import CLIPS, heard_by_stream, speech, text_of
from tests.serve.running import RunningServer, running

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    log = tmp_path_factory.mktemp("home") / "log"
    with running("--wyoming", "0", "--language", "en", log=log) as server:
        yield server


@pytest.fixture(scope="module")
def digits() -> Recognizer:
    return Recognizer.load(threads=1)


def port_of(server: RunningServer) -> int:
    found = re.search(r"tcp://127\.0\.0\.1:(\d+)", server.log.read_text())
    assert found is not None
    return int(found[1])


def utterance(clip: Path, **transcribe: Any) -> list[Event]:
    content = speech(clip, RATE_HZ).tobytes()
    audio = {"rate": RATE_HZ, "width": 2, "channels": 1}
    return [
        Transcribe(**transcribe).event(),
        AudioStart(**audio).event(),
        *(AudioChunk(audio=content[i : i + 2_048], **audio).event() for i in range(0, len(content), 2_048)),
        AudioStop().event(),
    ]


async def converse(port: int, events: list[Event], *, until: str) -> list[Event]:
    """Send events, and return what is answered, up to the first of a type or the end."""
    answers: list[Event] = []
    async with AsyncTcpClient("127.0.0.1", port, read_timeout=60) as client:
        for event in events:
            await client.write_event(event)
        while (answer := await client.read_event()) is not None:
            answers.append(answer)
            if answer.type == until:
                break
    return answers


def ask(server: RunningServer, events: list[Event], *, until: str = "transcript-stop") -> list[Event]:
    return asyncio.run(converse(port_of(server), events, until=until))


def test_it_says_what_it_is(home: RunningServer) -> None:
    [event] = ask(home, [Describe().event()], until="info")
    [program] = Info.from_event(event).asr
    assert program.supports_transcript_streaming
    assert [(model.name, model.languages) for model in program.models] == [("digits", ["en"])]


def test_an_utterance_is_a_stream(home: RunningServer, digits: Recognizer) -> None:
    for clip in CLIPS[:3]:
        events = ask(home, utterance(clip, language="en"))
        expected = text_of(heard_by_stream(digits, speech(clip, RATE_HZ), RATE_HZ)[0])
        types = [event.type for event in events]
        assert (types[0], types[-2:]) == ("transcript-start", ["transcript", "transcript-stop"])
        assert set(types[1:-2]) == {"transcript-chunk"}
        assert "".join(TranscriptChunk.from_event(event).text for event in events[1:-2]) == expected
        assert Transcript.from_event(events[-2]).text == expected


def test_utterances_share_a_connection_and_connections_the_model(
    home: RunningServer, digits: Recognizer
) -> None:
    async def both() -> list[list[Event]]:
        talks = [converse(port_of(home), utterance(clip), until="transcript-stop") for clip in CLIPS[:4]]
        return list(await asyncio.gather(*talks))

    for clip, events in zip(CLIPS, asyncio.run(both()), strict=False):
        expected = text_of(heard_by_stream(digits, speech(clip, RATE_HZ), RATE_HZ)[0])
        assert Transcript.from_event(events[-2]).text == expected
    events = ask(home, utterance(CLIPS[0]) + utterance(CLIPS[1]) + [Describe().event()], until="info")
    texts = [Transcript.from_event(event).text for event in events if event.type == "transcript"]
    assert texts == [
        text_of(heard_by_stream(digits, speech(clip, RATE_HZ), RATE_HZ)[0]) for clip in CLIPS[:2]
    ]


def test_names_and_terms_are_hotwords(home: RunningServer) -> None:
    events = ask(home, utterance(CLIPS[0], transcript_names=["SEVEN=1e9"]))
    plain = ask(home, utterance(CLIPS[0]))
    count, before = (Transcript.from_event(each[-2]).text.count("SEVEN") for each in (events, plain))
    assert count > before


AUDIO = {"rate": RATE_HZ, "width": 2, "channels": 1}


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([Transcribe(language="de"), AudioStart(**AUDIO)], "language is en, not 'de'"),
        ([Transcribe(name="other"), AudioStart(**AUDIO)], "no model 'other'"),
        ([AudioStart(rate=RATE_HZ, width=2, channels=2)], "must be mono"),
        ([AudioStart(rate=1, width=2, channels=1)], "rate of 1 Hz"),
    ],
)
def test_what_cannot_be_served_is_said(home: RunningServer, events: list[Any], message: str) -> None:
    answers = ask(home, [event.event() for event in events])
    assert message in Error.from_event(answers[-1]).text


@pytest.mark.parametrize(
    "content",
    [
        b"no JSON\n",
        b"[]\n",
        b"{}\n",
        b'{"type": "audio-start"}\n',
        b'{"type": "audio-chunk", "payload_length": 9999999999}\n',
        b'{"type": "audio-chunk", "payload_length": -1}\n',
        b'{"type": "audio-chunk", "data_length": 2}\n[]',
        b"x" * (2 << 20),
    ],
)
def test_malformed_events_end_only_their_connection(home: RunningServer, content: bytes) -> None:
    async def send() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(home))
        writer.write(content)
        answer = await asyncio.wait_for(reader.readline(), 60)
        writer.close()
        return answer

    assert json.loads(asyncio.run(send()))["type"] == "error"
    assert ask(home, [Describe().event()], until="info")
    assert not [line for line in home.log_lines() if line["level"] == "error"]


def test_a_killed_worker_is_an_error(tmp_path: Path) -> None:
    with running("--wyoming", "0", log=tmp_path / "log") as server:
        os.kill(server.worker_pid(), signal.SIGKILL)
        answers = ask(server, utterance(CLIPS[0]))
        assert Error.from_event(answers[-1]).code == "unavailable"
        server.wait_ready()
        assert ask(server, utterance(CLIPS[0]))[-2].type == "transcript"
