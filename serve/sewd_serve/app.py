"""The web application: routes, keys, and pages that may call it."""

from typing import Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.routing import BaseRoute, Route, WebSocketRoute

from sewd_serve.api import page, recordings, status
from sewd_serve.api.authorization import KeyMiddleware
from sewd_serve.api.endpoint import Endpoint, Handler, refusal
from sewd_serve.errors import MethodError, UnknownPathError
from sewd_serve.realtime import endpoint as realtime
from sewd_serve.service import Service
from sewd_serve.settings import Settings


def make_app(service: Service) -> Starlette:
    """Return the application of a service, which the caller starts and stops."""
    settings = service.settings
    middleware = []
    if settings.origins:
        origins = Middleware(
            CORSMiddleware, allow_origins=settings.origins, allow_methods=["GET", "POST"], allow_headers=["*"]
        )
        middleware.append(origins)
    if settings.keys:
        middleware.append(Middleware(KeyMiddleware, keys=service.keys))
    handlers = cast(Any, {HTTPException: _refuse})  # a response is any ASGI application
    app = Starlette(routes=_routes(settings), middleware=middleware, exception_handlers=handlers)
    app.router.redirect_slashes = False
    app.state.service = service
    return app


def _refuse(request: Request, error: Exception) -> Endpoint:
    """Answer a path that nothing serves, or not by this method, with an error like all others."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return refusal(MethodError(f"this path takes {allowed}, not {request.method}", allowed=allowed))
    return refusal(UnknownPathError("nothing is served at this path"))


def _routes(settings: Settings) -> list[BaseRoute]:
    def route(method: str, path: str, handle: Handler) -> Route:
        return Route(path, Endpoint(handle, path), methods=[method])

    routes: list[BaseRoute] = [
        route("POST", "/v1/audio/transcriptions", recordings.transcribe),
        route("POST", "/v1/audio/classifications", recordings.classify),
        WebSocketRoute("/v1/realtime", realtime.converse),
        route("GET", "/v1/realtime", realtime.expect_websocket),
        route("POST", "/v1/realtime/client_secrets", realtime.make_secret),
        route("GET", "/v1/models", status.models),
        route("GET", "/v1/models/{name:path}", status.model),
        route("GET", "/health/live", status.live),
        route("GET", "/health/ready", status.ready),
        route("GET", "/metrics", status.metrics),
    ]
    if settings.page:
        routes += [route("GET", "/", page.index), route("GET", "/page/{name}", page.file)]
    if settings.admin:
        routes.append(route("POST", "/admin/reload", status.reload))
    return routes
