"""HTTP connections with limits that uvicorn lacks: the time and the size of a request's headers."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADERS_S = 20.0
MAX_HEADER_BYTES = 64 << 10


class LimitedProtocol(HttpToolsProtocol):
    """Closes a connection whose client sends the headers of a request too slowly, or too many of them."""

    _timer: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _reads_headers = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes before the headers are complete."""
        if self._reads_headers:
            self._header_bytes += len(data)
            if self._timer is None:
                self._await_headers()
        super().data_received(data)
        if self._reads_headers and self._header_bytes > MAX_HEADER_BYTES:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        """Stop counting: limits of the body are the endpoint's."""
        self._reads_headers, self._header_bytes = False, 0
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Count the next request's headers; its time begins with its first byte."""
        super().on_message_complete()
        self._reads_headers = True

    def _await_headers(self) -> None:
        self._timer = self.loop.call_later(HEADERS_S, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
