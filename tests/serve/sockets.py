"""Requests byte by byte, for what no HTTP client would send."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BOUNDARY = "b0undary"
PATH = "/v1/audio/transcriptions"


def part(name: str, content: bytes | str, *, file_name: str | None = None) -> bytes:
    """One part of a form, with the boundary before it."""
    content = content.encode() if isinstance(content, str) else content
    file = "" if file_name is None else f'; filename="{file_name}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(content: bytes, **fields: str) -> bytes:
    """A whole form."""
    parts = [part(name, value) for name, value in fields.items()]
    return b"".join([*parts, part("file", content, file_name="a.wav")]) + END


END = f"--{BOUNDARY}--\r\n".encode()


def head(length: int | str | None, *, path: str = PATH, more: str = "") -> bytes:
    """The headers of a POST of a form."""
    size = "" if length is None else f"Content-Length: {length}\r\n"
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{size}{more}"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    ).encode()


@contextmanager
def connected(port: int, *sent: bytes) -> Iterator[socket.socket]:
    """A connection on which something was sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for each in sent:
            connection.sendall(each)
        yield connection


class Answer:
    """An answer as it came; status 0: the connection was closed without one."""

    def __init__(self, content: bytes) -> None:
        begin, _, self.body = content.partition(b"\r\n\r\n")
        lines = begin.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if content else 0
        self.headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        self.body = self.body[: int(self.headers.get("content-length", len(self.body)))]

    @property
    def error(self) -> dict[str, Any]:
        """The error, which must have OpenAI's shape."""
        assert self.headers["content-type"] == "application/json"
        assert self.headers["x-request-id"]
        return check_error(json.loads(self.body))


def check_error(body: Any) -> dict[str, Any]:
    """Return the error of an answer in OpenAI's shape."""
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"] and error["type"]
    return error


def receive(connection: socket.socket) -> Answer:
    """The first answer of a connection, with its whole body."""
    content = b""
    while not _is_whole(content):
        try:
            block = connection.recv(1 << 16)
        except ConnectionResetError:
            break
        if not block:
            break
        content += block
    return Answer(content)


def _is_whole(content: bytes) -> bool:
    if b"\r\n\r\n" not in content:
        return False
    answer = Answer(content)
    length = answer.headers.get("content-length")
    return answer.body.endswith(b"0\r\n\r\n") if length is None else len(answer.body) >= int(length)


def ask(port: int, *sent: bytes) -> Answer:
    """Send something, and return the answer."""
    with connected(port, *sent) as connection:
        return receive(connection)
