"""Requests and websockets without a key are refused before they reach an endpoint."""

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from sewd_serve.api.endpoint import OTHER, deny, refusal
from sewd_serve.errors import UnauthorizedError
from sewd_serve.keys import Keys, key_of

_OPEN = ("/health/", "/page/", "/favicon.ico")
"""Paths that need no key: a probe and a browser have none, and what they show is no secret."""


class KeyMiddleware:
    """Lets requests and websockets through that carry a key."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a connection on, or refuse it with 401 (a websocket: before it opens)."""
        if scope["type"] not in ("http", "websocket") or self._may_pass(HTTPConnection(scope)):
            await self._app(scope, receive, send)
            return
        wrong = "the key is wrong, or the token has expired; " if key_of(HTTPConnection(scope)) else ""
        error = UnauthorizedError(f"{wrong}give a key of this server as Authorization: Bearer KEY")
        if scope["type"] == "http":
            await refusal(error)(scope, receive, send)
        else:
            await deny(WebSocket(scope, receive, send), error, OTHER)

    def _may_pass(self, connection: HTTPConnection) -> bool:
        path: str = connection.scope["path"]
        return path == "/" or path.startswith(_OPEN) or self._keys.accept(key_of(connection))
