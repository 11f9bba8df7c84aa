"""uvicorn's connections, with limits that it lacks, an answer to what is not HTTP, and less noise."""

import asyncio
import json
import uuid
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from sewd_serve.errors import InvalidRequestError

MAX_HEADER_BYTES = 64 << 10
"""What a request's headers, or the trailers of a body in chunks, may have together."""


class LimitedProtocol(HttpToolsProtocol):
    """Closes a connection whose client is too slow, or sends too many headers.

    idle_s: how long the headers of a request may take, and the rest of a body after its answer. A body that
    is read has limits of its own, and uvicorn closes connections between two requests.
    """

    def __init__(self, *arguments: Any, idle_s: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._idle_s = idle_s
        self._timer: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._is_in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count the bytes since the headers or the body went on."""
        self._header_bytes += len(data)
        if self._timer is None and not self._is_in_body:
            self._start_timer()
        super().data_received(data)
        if self._header_bytes > MAX_HEADER_BYTES:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        """Let the endpoint limit the body."""
        self._header_bytes, self._is_in_body = 0, True
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._header_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next request from its first byte on."""
        self._header_bytes, self._is_in_body = 0, False
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Do not wait for ever for the rest of a body that was answered before it was read."""
        super().on_response_complete()
        if self._is_in_body and self.cycle.response_complete:
            self._start_timer()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, with an error like all others."""
        body = json.dumps(InvalidRequestError("this is not a valid HTTP request").body).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
            f"content-length: {len(body)}\r\nx-request-id: {uuid.uuid4().hex}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self._idle_s, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class DeniableWebSocket(WebSocketsSansIOProtocol):
    """A websocket that may be refused with an HTTP error, which uvicorn logs as a fault of the server."""

    async def send(self, message: Any) -> None:
        """Send an event of the application."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True
