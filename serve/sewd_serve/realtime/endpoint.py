"""``GET /v1/realtime``, the websocket, and ``POST /v1/realtime/client_secrets``."""

import json
import logging
import time
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from sewd_serve.api.endpoint import Respond, deny, log_answer, refuse_foreign, request_id, service_of
from sewd_serve.errors import InvalidRequestError, ServeError, UnauthorizedError
from sewd_serve.keys import TOKEN_S, key_of
from sewd_serve.realtime.items import new_id
from sewd_serve.realtime.options import SessionOptions, update_options
from sewd_serve.realtime.session import FAILED, Session
from sewd_serve.service import Service

_ERRORS = logging.getLogger("sewd.serve")
_MAX_BODY_BYTES = 1 << 16
_PATH = "/v1/realtime"
_LIFETIMES_S = range(10, 7201)


async def converse(websocket: WebSocket) -> None:
    """Serve one session; one that may not begin is refused with an HTTP error in place of the websocket."""
    service, began, number = service_of(websocket), time.monotonic(), request_id(websocket)
    try:
        with service.room_for_stream():
            refuse_foreign(websocket)
            model = service.find_model(websocket.query_params.get("model"), task="ctc")
            code = await _run(websocket, service, SessionOptions(model=model.name), number)
    except ServeError as error:
        await deny(websocket, error, _PATH)
        return
    service.metrics.requests.labels(_PATH, "101").inc()
    log_answer("session", _PATH, code, time.monotonic() - began, number)


async def expect_websocket(request: Request, respond: Respond) -> None:
    """Tell those who come without a websocket."""
    raise InvalidRequestError(
        "this path is a websocket, and the request does not ask for one; a proxy must pass on the headers "
        "Upgrade and Connection",
        code="websocket_expected",
    )


async def _run(websocket: WebSocket, service: Service, options: SessionOptions, number: str) -> int:
    """Run a session, and return the code that closed it."""
    protocols = websocket.scope["subprotocols"]
    try:
        await websocket.accept(subprotocol="realtime" if "realtime" in protocols else None)
        code, reason = await Session(websocket, service, options).run()
        if reason is not None:
            await websocket.close(code, reason)
    except WebSocketDisconnect as left:
        return left.code
    except Exception as error:
        _ERRORS.error("unexpected error, request %s", number, exc_info=error)
        with suppress(RuntimeError, WebSocketDisconnect):
            await websocket.close(FAILED, "an unexpected error")
        return FAILED
    return code


async def make_secret(request: Request, respond: Respond) -> None:
    """Answer with a short-lived token, which a page can hold in place of a key."""
    service = service_of(request)
    if service.settings.keys and not service.keys.accept_key(key_of(request)):
        raise UnauthorizedError("a token makes no other tokens; give a key")
    body = await _read_json(request)
    options = SessionOptions(model=service.find_model(None, task="ctc").name)
    options = update_options(options, _object(body, "session"), service)
    lifetime = _object(body, "expires_after").get("seconds", TOKEN_S)
    if type(lifetime) is not int or lifetime not in _LIFETIMES_S:
        wanted = f"a whole number of {_LIFETIMES_S[0]} to {_LIFETIMES_S[-1]}"
        raise InvalidRequestError(f"expires_after.seconds must be {wanted}", param="expires_after.seconds")
    token, expires = service.keys.make_token(lifetime)
    session = options.as_session(new_id("sess"))
    await respond(JSONResponse({"value": token, "expires_at": expires, "session": session}))


async def _read_json(request: Request) -> dict[str, Any]:
    content = bytearray()
    async for block in request.stream():
        content += block
        if len(content) > _MAX_BODY_BYTES:
            raise InvalidRequestError(f"the body has more than {_MAX_BODY_BYTES} bytes")
    try:
        body = json.loads(bytes(content) or b"{}")
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise InvalidRequestError("the body must be a JSON object")
    return body


def _object(body: dict[str, Any], name: str) -> dict[str, Any]:
    content = body.get(name)
    if content is not None and not isinstance(content, dict):
        raise InvalidRequestError(f"{name} must be an object", param=name)
    return content or {}
