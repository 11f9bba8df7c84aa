"""The page at ``/``: files that load nothing from elsewhere and talk to this server only.

Most of them are those of sewd-web's own page, in ``web/site/page``; a wheel has them all in one folder.
"""

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from sewd_serve.api.endpoint import Respond
from sewd_serve.errors import UnknownPathError

_FOLDERS = (Path(__file__).parents[1] / "page", Path(__file__).parents[3] / "web/site/page")
_MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_SOURCES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
}
_HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {source}" for name, source in _SOURCES.items()),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
_FILES = {
    path.name: path.read_bytes()
    for folder in _FOLDERS
    if folder.is_dir()
    for path in sorted(folder.iterdir())
    if path.suffix in _MEDIA_TYPES
}


async def index(request: Request, respond: Respond) -> None:
    """Answer with the page."""
    await respond(_response(request, "index.html"))


async def file(request: Request, respond: Respond) -> None:
    """Answer with one of the page's files."""
    name = request.path_params["name"]
    if name not in _FILES:
        raise UnknownPathError(f"the page has no file {name[:60]!r}")
    await respond(_response(request, name))


def _response(request: Request, name: str) -> Response:
    tag = f'"{hashlib.sha256(_FILES[name]).hexdigest()[:16]}"'
    headers = {**_HEADERS, "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(_FILES[name], media_type=_MEDIA_TYPES[Path(name).suffix], headers=headers)
