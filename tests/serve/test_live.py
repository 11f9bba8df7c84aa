"""Audio on its way to the inference process: joined, cut, and kept back for a moment at most."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from sewd_serve.live import Live, StreamOptions
from sewd_serve.metrics import Metrics
from sewd_serve.worker.messages import Audio, Clear, Commit, Heard


class Talk:
    """A conversation that keeps what it is sent, and answers what it is told to."""

    id = 1

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.replies: asyncio.Queue[Heard] = asyncio.Queue()

    def send(self, message: Any) -> None:
        self.sent.append(message)

    async def receive(self) -> Heard:
        return await self.replies.get()

    @property
    def audio(self) -> list[bytes]:
        return [message.content for message in self.sent if isinstance(message, Audio)]


class Service:
    metrics = Metrics()


def open_live(talk: Talk) -> Live:
    options = StreamOptions(model="digits", rate_hz=8_000)
    return Live(cast(Any, Service), cast(Any, talk), options)


def run(check: Callable[[Live, Talk], Any]) -> None:
    async def main() -> None:
        talk = Talk()
        live = open_live(talk)
        await check(live, talk)
        live.close()

    asyncio.run(main())


CONTENT = bytes(range(256)) * 100


@pytest.mark.parametrize("packet_bytes", [1, 160, 1_599, 25_600])
def test_packets_are_joined_to_a_tenth_of_a_second_and_cut_at_a_second(packet_bytes: int) -> None:
    async def check(live: Live, talk: Talk) -> None:
        for begin in range(0, len(CONTENT), packet_bytes):
            live.append(CONTENT[begin : begin + packet_bytes])
        live.commit()
        assert b"".join(talk.audio) == CONTENT
        assert all(1_600 <= len(packet) <= 16_000 for packet in talk.audio[:-1])
        assert isinstance(talk.sent[-1], Commit)
        assert live.received_s == len(CONTENT) / 16_000

    run(check)


def test_the_rest_waits_a_moment_for_more() -> None:
    async def check(live: Live, talk: Talk) -> None:
        live.append(CONTENT[:100])
        assert not talk.sent
        while not talk.sent:
            await asyncio.sleep(0.01)
        assert talk.audio == [CONTENT[:100]]

    run(check)


def test_half_a_sample_waits_for_the_other_half_or_is_dropped_with_its_utterance() -> None:
    async def check(live: Live, talk: Talk) -> None:
        live.append(CONTENT[:1_601])
        live.append(CONTENT[1_601:3_200])
        live.append(b"x")
        live.clear()
        live.append(CONTENT[:1_600])
        kinds = [type(message) for message in talk.sent]
        assert kinds == [Audio, Audio, Clear, Audio]
        assert talk.audio == [CONTENT[:1_600], CONTENT[1_600:3_200], CONTENT[:1_600]]

    run(check)


def heard(*, utterance: int, audio_s: float, is_final: bool = False) -> Heard:
    return Heard(
        id=1,
        committed=(),
        pending=(),
        turns=(),
        utterance=utterance,
        is_final=is_final,
        audio_s=audio_s,
        came=0.0,
    )


def test_a_client_waits_while_its_audio_or_its_utterances_are_far_behind() -> None:
    async def check(live: Live, talk: Talk) -> None:
        live.append(bytes(16_000 * 11))
        assert live.is_behind
        talk.replies.put_nowait(heard(utterance=0, audio_s=2.0))
        await live.receive()
        assert not live.is_behind
        for _ in range(101):
            live.commit()
        assert live.is_behind
        talk.replies.put_nowait(heard(utterance=0, audio_s=11.0, is_final=True))
        await live.receive()
        assert not live.is_behind

    run(check)
