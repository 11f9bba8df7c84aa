"""What every endpoint does: count, log, turn errors into answers, and stop when the client leaves."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar, cast
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from sewd_serve.errors import ForbiddenError, InternalError, ServeError, UnavailableError
from sewd_serve.service import Service

_LOG = logging.getLogger("sewd.access")
_ERRORS = logging.getLogger("sewd.serve")

_REQUEST_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
"""A client's own id, which is logged."""

Result = TypeVar("Result")
Respond: TypeAlias = Callable[[Response], Coroutine[Any, Any, None]]
Handler: TypeAlias = Callable[[Request, Respond], Awaitable[None]]

OTHER = "other"
"""The endpoint in logs and metrics of what no endpoint serves: a client's path is in neither."""

_LEFT = 499
"""The status in logs and metrics of a request whose client left, as nginx counts it."""


class Endpoint:
    """An ASGI application around a handler, which answers once by calling ``respond``."""

    def __init__(self, handle: Handler, name: str) -> None:
        self._handle, self._name = handle, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        began, status = time.monotonic(), 0
        number = request_id(request)

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", number.encode())]
            await send(message)

        async def respond(response: Response) -> None:
            await response(scope, _never, counted)

        try:
            refuse_foreign(request)
            await self._handle(request, respond)
        except ClientDisconnect:
            status = _LEFT
        except asyncio.CancelledError:  # the time to stop has run out
            if not status:
                await respond(_answer(UnavailableError("the server stopped before this was done"), number))
        except Exception as error:
            if status:  # the answer has begun: all that is left is to break it off
                raise
            await respond(_answer(error, number))
        finally:
            self._count(service_of(request), status, time.monotonic() - began, number)

    def _count(self, service: Service, status: int, took_s: float, number: str) -> None:
        service.metrics.requests.labels(self._name, str(status)).inc()
        service.metrics.request_s.labels(self._name).observe(took_s)
        log_answer("request", self._name, status, took_s, number)


def _answer(error: Exception, number: str) -> Response:
    if not isinstance(error, ServeError):
        _ERRORS.error("unexpected error, request %s", number, exc_info=error)
        error = InternalError(f"an unexpected error; the server's log has it as request {number}")
    return JSONResponse(error.body, error.status, headers=error.headers)


def refusal(error: ServeError) -> Endpoint:
    """Return an endpoint that answers every request with an error."""

    async def refuse(_: Request, __: Respond) -> None:
        raise error

    return Endpoint(refuse, OTHER)


def refuse_foreign(connection: HTTPConnection) -> None:
    """Raise ForbiddenError for a page of another site: browsers let it send forms and open websockets."""
    origin, allowed = connection.headers.get("origin"), service_of(connection).settings.origins
    if origin is None or {origin, "*"} & set(allowed):
        return
    if urlsplit(origin).netloc != connection.headers.get("host"):
        raise ForbiddenError("pages of this origin may not call; start the server with --allow-origin")


async def _never() -> Message:
    """Receive nothing: ``unless_client_leaves`` notices it, not the response."""
    await asyncio.Event().wait()
    raise AssertionError


async def deny(websocket: WebSocket, error: ServeError, path: str) -> None:
    """Refuse a websocket with an HTTP error in its place. path: as it is logged and counted."""
    service_of(websocket).metrics.requests.labels(path, str(error.status)).inc()
    log_answer("session", path, error.status, 0.0, request_id(websocket))
    with suppress(WebSocketDisconnect):
        await websocket.send_denial_response(JSONResponse(error.body, error.status, headers=error.headers))


def log_answer(what: str, path: str, status: int, took_s: float, number: str) -> None:
    """Log a request or a session that has ended."""
    fields = {"endpoint": path, "status": status, "seconds": round(took_s, 4), "request_id": number}
    _LOG.info(what, extra=fields)


def request_id(connection: HTTPConnection) -> str:
    """Return the id that a client gave, if it is one, or a new one."""
    given = connection.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def service_of(connection: HTTPConnection) -> Service:
    """Return the server's state."""
    return cast(Service, connection.app.state.service)


async def unless_client_leaves(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of some work; end it, and raise ClientDisconnect, when the client leaves.

    Call it when the request's body was read.
    """
    task = asyncio.create_task(work)
    watch = asyncio.create_task(_wait_until_left(request))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for each in (task, watch):
            each.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


async def _wait_until_left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
