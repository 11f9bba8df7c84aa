"""One client's session: its events in order, between what its stream hears."""

import asyncio
import base64
import json
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any

from starlette.types import Message
from starlette.websockets import WebSocket

from sewd_serve.errors import InternalError, InvalidRequestError, ServeError, UnavailableError
from sewd_serve.live import Live, open_stream
from sewd_serve.realtime.items import Event, Items, new_id
from sewd_serve.realtime.options import KEYWORDS, SessionOptions, update_options
from sewd_serve.service import Service
from sewd_serve.worker.messages import Heard

_LEAST_MS = 100
"""A commit needs as much audio, as OpenAI's."""

DONE, GOING_AWAY, FAILED = 1000, 1001, 1011
"""Codes that close a websocket."""


class Session:
    """A connection that is open; all of it runs in one task."""

    def __init__(self, websocket: WebSocket, service: Service, options: SessionOptions) -> None:
        self._websocket, self._service, self._options = websocket, service, options
        self._id = new_id("sess")
        self._items = Items()
        self._live: Live | None = None
        self._stack = AsyncExitStack()  # what closes the stream
        self._reply: asyncio.Task[Heard] | None = None  # the stream's next
        self._begin_s = 0.0  # of the stream, in the session's audio

    async def run(self) -> tuple[int, str | None]:
        """Serve the client; return the code and the reason to close with, None if the client has closed.

        Raises WebSocketDisconnect.
        """
        try:
            await self._send_session("session.created")
            return await self._converse()
        except ServeError as error:
            await self._send_error(error, None)
            return FAILED, error.message[:100]
        finally:
            await self._close_stream()

    async def _converse(self) -> tuple[int, str | None]:
        """Listen to client, stream and server at once; an event waits while the stream is behind."""
        receive = asyncio.create_task(self._websocket.receive())
        stop = asyncio.create_task(self._service.stopping.wait())
        idle_s, last = self._service.limits.stream_idle_s, time.monotonic()
        event: Message | None = None
        try:
            while True:
                waiting: set[asyncio.Task[Any]] = {stop, receive} if event is None else {stop}
                if self._reply is not None:
                    waiting.add(self._reply)
                done, _ = await asyncio.wait(waiting, timeout=idle_s, return_when=asyncio.FIRST_COMPLETED)
                if stop in done:
                    await self._finish_stream()
                    return GOING_AWAY, "the server is stopping"
                if self._reply is not None and self._reply in done:
                    await self._hear()
                if receive in done:
                    event = receive.result()
                    if event["type"] == "websocket.disconnect":
                        return event.get("code", DONE), None
                if event is not None and not (self._live is not None and self._live.is_behind):
                    await self._handle(event)
                    event, last = None, time.monotonic()
                    receive = asyncio.create_task(self._websocket.receive())
                elif event is None and time.monotonic() - last >= idle_s:
                    return GOING_AWAY, f"nothing was sent for {idle_s:g} s"
        finally:
            for task in (receive, stop):
                task.cancel()

    async def _handle(self, message: Message) -> None:
        """Do what the client's event says; what it cannot say is an event of error."""
        event_id = None
        try:
            event = _parse(message)
            event_id = event.get("event_id")
            match event["type"]:
                case "input_audio_buffer.append":
                    (await self._stream()).append(_audio(event))
                case "input_audio_buffer.commit":
                    await self._commit()
                case "input_audio_buffer.clear":
                    await self._clear()
                case "session.update":
                    await self._update(event)
                case other:
                    raise InvalidRequestError(
                        f"{str(other)[:60]!r} is not served here; a session has session.update and "
                        "input_audio_buffer.append, .commit and .clear",
                        param="type",
                        code="unknown_event",
                    )
        except (UnavailableError, InternalError):
            raise
        except ServeError as error:
            await self._send_error(error, event_id)

    async def _commit(self) -> None:
        live = await self._stream()
        now_s = self._begin_s + live.received_s
        length_ms = 1000 * (now_s - self._items.begin_s)
        if length_ms < _LEAST_MS:
            raise InvalidRequestError(
                f"Error committing input audio buffer: buffer too small. Expected at least {_LEAST_MS}ms of "
                f"audio, but buffer only has {max(0.0, length_ms):.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        await self._send_all(self._items.commit(live.utterance, end_s=now_s))
        live.commit()

    async def _clear(self) -> None:
        live = await self._stream()
        self._items.clear(live.utterance, end_s=self._begin_s + live.received_s)
        live.clear()
        await self._send({"type": "input_audio_buffer.cleared"})

    async def _update(self, event: Event) -> None:
        session = event.get("session")
        if not isinstance(session, dict):
            raise InvalidRequestError("session must be an object", param="session", code="invalid_value")
        options = update_options(self._options, session, self._service)
        if self._live is None or options.stream != self._live.options:
            await self._open_stream(options)
        self._options = self._items.options = options
        await self._send_session("session.updated")

    async def _stream(self) -> Live:
        """Return the open stream, or open one."""
        if self._live is None:
            await self._open_stream(self._options)
        assert self._live is not None
        return self._live

    async def _open_stream(self, options: SessionOptions) -> None:
        """Open a stream in the place of the one that is open, which ends with all its words."""
        async with AsyncExitStack() as stack:
            live = await stack.enter_async_context(open_stream(self._service, options.stream))
            await self._finish_stream()
            if self._live is not None:
                self._begin_s += self._live.received_s
            await self._close_stream()
            self._stack = stack.pop_all()
        self._live = live
        self._reply = asyncio.create_task(live.receive())
        self._items.begin_stream(options, begin_s=self._begin_s)

    async def _finish_stream(self) -> None:
        """Send all that the stream hears in what it has been given."""
        if self._live is not None:
            self._items.end(self._live.utterance)
            self._live.commit()
            while not self._items.is_settled:
                await self._hear()

    async def _close_stream(self) -> None:
        if self._reply is not None:
            self._reply.cancel()
            await asyncio.gather(self._reply, return_exceptions=True)
            self._reply = None
        await self._stack.aclose()

    async def _hear(self) -> None:
        """Send what the stream has heard next."""
        assert self._live is not None and self._reply is not None
        heard = await self._reply
        self._reply = asyncio.create_task(self._live.receive())
        await self._send_all(self._items.hear(heard))

    async def _send_all(self, events: Iterable[Event]) -> None:
        for event in events:
            await self._send(event)

    async def _send_session(self, kind: str) -> None:
        await self._send({"type": kind, "session": self._options.as_session(self._id)})

    async def _send_error(self, error: ServeError, event_id: object) -> None:
        content = {**error.body["error"], "event_id": event_id if isinstance(event_id, str) else None}
        if content["param"] == "sewd_hotwords":  # the field of files
            content["param"] = KEYWORDS
        await self._send({"type": "error", "error": content})

    async def _send(self, event: Event) -> None:
        await self._websocket.send_text(json.dumps({"event_id": new_id("event"), **event}))


def _parse(message: Message) -> dict[str, Any]:
    """Return a client's event. Raises InvalidRequestError."""
    text = message.get("text") or message.get("bytes") or ""
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequestError("an event must be JSON", code="invalid_json") from None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise InvalidRequestError(
            "an event must be an object with a type", param="type", code="invalid_event"
        )
    return event


def _audio(event: Event) -> bytes:
    """Return the audio of an append. Raises InvalidRequestError."""
    try:
        return base64.b64decode(event["audio"], validate=True)
    except (KeyError, TypeError, ValueError):
        raise InvalidRequestError("audio must be base64", param="audio", code="invalid_value") from None
