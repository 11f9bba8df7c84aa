"""API keys, and short-lived tokens that a page can hold in their place."""

import hashlib
import hmac
import re
import secrets
import time
from pathlib import Path

from starlette.requests import HTTPConnection

TOKEN_S = 600
"""How long a token is valid to open a connection."""

_PREFIX = "ek_"


_KEY = re.compile(r"[!-~]+")


class Keys:
    """The keys of a server; with none, everybody may call."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]
        self._secret = secrets.token_bytes(32)

    def accept(self, key: str) -> bool:
        """Return whether this is a key or a token."""
        return self.accept_key(key) or self._accept_token(key)

    def accept_key(self, key: str) -> bool:
        """Return whether this is a key; the time it takes does not depend on how much of it is right."""
        digest = hashlib.sha256(key.encode()).digest()
        matches = [hmac.compare_digest(digest, each) for each in self._digests]
        return any(matches)

    def make_token(self, lifetime_s: int = TOKEN_S) -> tuple[str, int]:
        """Return a new token, and when it expires in seconds of Unix time."""
        expires = int(time.time()) + lifetime_s
        stamp = f"{expires}.{secrets.token_urlsafe(8)}"
        return f"{_PREFIX}{stamp}.{self._sign(stamp)}", expires

    def _accept_token(self, token: str) -> bool:
        stamp, _, signature = token.removeprefix(_PREFIX).rpartition(".")
        if not token.startswith(_PREFIX) or not hmac.compare_digest(
            self._sign(stamp).encode(), signature.encode()
        ):
            return False
        return int(stamp.split(".")[0]) >= time.time()

    def _sign(self, stamp: str) -> str:
        return hmac.new(self._secret, stamp.encode(), hashlib.sha256).hexdigest()


def read_keys(path: Path) -> tuple[str, ...]:
    """Read a file with one key on each line; blank lines and those that begin with # do not count.

    Raises ValueError for a file without a key, or with one that no client could send, and OSError.
    """
    lines = [line.strip() for line in path.read_text("utf-8-sig", "replace").splitlines()]
    keys = tuple(line for line in lines if line and not line.startswith("#"))
    if not keys:
        raise ValueError(f"{path}: holds no key; write one on each line")
    if not all(_KEY.fullmatch(key) for key in keys):
        raise ValueError(
            f"{path}: keys must be printable ASCII without spaces, so that headers can hold them"
        )
    return keys


def key_of(connection: HTTPConnection) -> str:
    """Return the key in a request's header or, of a browser's websocket, which sets none, in a protocol."""
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    for protocol in connection.headers.get("sec-websocket-protocol", "").split(","):
        if protocol.strip().startswith("openai-insecure-api-key."):
            return protocol.strip().removeprefix("openai-insecure-api-key.")
    return ""
