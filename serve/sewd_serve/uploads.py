"""Multipart forms as they arrive: files into a folder of ours, with limits for bytes, fields and time."""

import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

import anyio
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from sewd_serve.errors import InvalidRequestError, NoSpaceError, ServeError, TooLargeError, TooSlowError
from sewd_serve.settings import Limits

_MAX_PARTS = 1000
_FORM_BYTES = 1 << 20
"""What a form may have beside its recording: boundaries, headers, fields."""

_HEAD_BYTES = 64


@dataclass(slots=True)
class Form:
    """A request's fields, and its recording.

    path: where the recording lies while the form is open, which clients never choose; None: it is empty, or
    there is none. head: its first bytes. is_named: it came as a file, with a name.
    """

    fields: dict[str, list[str]] = field(default_factory=dict)
    path: Path | None = None
    head: bytes = b""
    size_bytes: int = 0
    is_received: bool = False
    is_named: bool = False

    def get(self, name: str) -> str | None:
        """Return the last value of a field that is not empty."""
        values = self.all(name)
        return values[-1] if values else None

    def all(self, name: str) -> list[str]:
        """Return the values of a field, also of its spelling ``name[]``, without empty ones."""
        return [value for key in (name, f"{name}[]") for value in self.fields.get(key, []) if value]


class Spool:
    """The folder of uploads; it is made for this server and removed with it."""

    def __init__(self, parent: Path | None) -> None:
        """Make it. Raises OSError."""
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="sewd-", dir=parent, ignore_cleanup_errors=True)
        except OSError as error:
            where = parent or "the folder for temporary files"
            raise OSError(error.errno, f"{where}: uploads cannot be stored: {error.strerror}") from error
        self.path = Path(self._folder.name)

    def close(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()

    @asynccontextmanager
    async def receive(self, request: Request, limits: Limits) -> AsyncIterator[Form]:
        """Read a request's form; its file is removed at the end. Raises ServeError, ClientDisconnect."""
        with ExitStack() as stack:
            try:
                with anyio.fail_after(limits.upload_s):
                    form = await self._read(request, limits, stack)
            except TimeoutError:
                raise TooSlowError(f"the request took longer than {limits.upload_s:g} s to arrive") from None
            yield form

    async def _read(self, request: Request, limits: Limits, stack: ExitStack) -> Form:
        most = limits.upload_bytes + _FORM_BYTES
        if int(request.headers.get("content-length") or 0) > most:
            raise _too_large(limits)
        kind, options = parse_options_header(request.headers.get("content-type"))
        if kind != b"multipart/form-data" or b"boundary" not in options:
            raise InvalidRequestError(
                "send a form (multipart/form-data) with the recording in the field file"
            )
        reader = _FormReader(options[b"boundary"], self.path, limits, stack)
        received = 0
        blocks = aiter(request.stream())
        while block := await _next_block(blocks, limits.idle_s):
            received += len(block)
            if received > most:
                raise _too_large(limits)
            reader.write(block)
        if not reader.is_complete:
            raise InvalidRequestError("the form ends before its last boundary; send it again")
        return reader.form


class _FormReader:
    """Fills a form block by block; its file is closed and removed when the stack ends.

    is_complete: the last boundary was read.
    """

    def __init__(self, boundary: bytes, folder: Path, limits: Limits, stack: ExitStack) -> None:
        """Begin. Raises InvalidRequestError."""
        self.form = Form()
        self.is_complete = False
        self._folder, self._limits, self._stack = folder, limits, stack
        self._num_parts = self._form_bytes = 0
        self._headers: dict[bytes, bytes] = {}
        self._header = self._value = b""
        self._name = ""
        self._content = bytearray()
        self._path: Path = folder
        self._file: FileIO | None = None
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._add_to_header,
                    "on_header_value": self._add_to_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._add_content,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _unreadable(error) from error

    def write(self, block: bytes) -> None:
        """Take the next block. Raises InvalidRequestError, TooLargeError, NoSpaceError."""
        try:
            self._parser.write(block)
        except FormParserError as error:
            raise _unreadable(error) from error
        except OSError as error:
            raise NoSpaceError("the recording cannot be stored; the server's disk may be full") from error

    def _begin_part(self) -> None:
        self._num_parts += 1
        if self._num_parts > _MAX_PARTS:
            raise InvalidRequestError(f"the form has more than {_MAX_PARTS} parts")
        self._headers, self._content, self._file = {}, bytearray(), None

    def _add_to_header(self, block: bytes, start: int, end: int) -> None:
        self._header += self._counted(block[start:end])

    def _add_to_value(self, block: bytes, start: int, end: int) -> None:
        self._value += self._counted(block[start:end])

    def _end_header(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise InvalidRequestError("a part of the form has no name in its Content-Disposition")
        self._name = options[b"name"].decode("utf-8", "replace")
        if self._name != "file" and b"filename" not in options:
            return
        if self._name != "file" or self.form.is_received:
            raise InvalidRequestError("send one recording, in the field file", param="file")
        self.form.is_received = True
        self.form.is_named = b"filename" in options
        self._path = self._folder / uuid.uuid4().hex
        self._stack.callback(_remove, self._path)
        self._file = self._stack.enter_context(FileIO(self._path, "x"))

    def _add_content(self, block: bytes, start: int, end: int) -> None:
        if self._file is None:
            self._content += self._counted(block[start:end])
            return
        form = self.form
        form.path = self._path
        form.size_bytes += end - start
        if form.size_bytes > self._limits.upload_bytes:
            raise _too_large(self._limits)
        rest = memoryview(block)[start:end]
        form.head += bytes(rest[: _HEAD_BYTES - len(form.head)])
        while rest:
            rest = rest[self._file.write(rest) :]

    def _end_part(self) -> None:
        if self._file is None:
            self.form.fields.setdefault(self._name, []).append(self._content.decode("utf-8", "replace"))
        else:
            self._file.close()

    def _end(self) -> None:
        self.is_complete = True

    def _counted(self, content: bytes) -> bytes:
        """Count bytes that are kept in memory."""
        self._form_bytes += len(content)
        if self._form_bytes > _FORM_BYTES:
            raise TooLargeError(f"the form's fields have more than {_FORM_BYTES} bytes")
        return content


async def _next_block(blocks: AsyncIterator[bytes], idle_s: float) -> bytes:
    """Return the next block of a request's body, empty at its end. Raises TooSlowError, ClientDisconnect."""
    try:
        with anyio.fail_after(idle_s):
            return await anext(blocks)
    except TimeoutError:
        raise TooSlowError(f"nothing was sent for {idle_s:g} s") from None


def _too_large(limits: Limits) -> ServeError:
    return TooLargeError(
        f"the recording has more bytes than the limit of {limits.upload_bytes}", param="file"
    )


def _unreadable(error: FormParserError) -> ServeError:
    return InvalidRequestError(f"the form cannot be read: {error}")


def _remove(path: Path) -> None:
    with suppress(OSError):  # absent; on Windows also while the worker still reads it
        path.unlink()
