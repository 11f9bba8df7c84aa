"""Multipart forms as they arrive: files into a folder of ours, with limits for bytes, fields and time."""

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from python_multipart import FormParser
from python_multipart.exceptions import FileError, FormParserError
from python_multipart.multipart import Field, File, parse_options_header
from starlette.requests import Request

from sewd_serve.errors import InvalidRequestError, NoSpaceError, TooLargeError, TooSlowError
from sewd_serve.settings import Limits

_MAX_PARTS = 1000
_FORM_BYTES = 1 << 20
"""What a form may have beside its recording: boundaries, headers, fields."""

_HEAD_BYTES = 64


@dataclass(slots=True)
class Form:
    """A request's fields, and its recording.

    path: where the recording lies while the form is open, which clients never choose; None: it is empty, or
    there is none. head: its first bytes.
    """

    fields: dict[str, list[str]] = field(default_factory=dict)
    path: Path | None = None
    head: bytes = b""
    size_bytes: int = 0
    is_received: bool = False
    num_parts: int = 0

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
        self._folder = tempfile.TemporaryDirectory(prefix="sewd-", dir=parent, ignore_cleanup_errors=True)
        self.path = Path(self._folder.name)

    def close(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()

    @asynccontextmanager
    async def receive(self, request: Request, limits: Limits) -> AsyncIterator[Form]:
        """Read a request's form; its file is removed at the end. Raises ServeError, ClientDisconnect."""
        form = Form()
        with ExitStack() as stack:
            try:
                with anyio.fail_after(limits.upload_s):
                    await self._read(request, limits, form, stack)
            except TimeoutError:
                raise TooSlowError(f"the request took longer than {limits.upload_s:g} s to arrive") from None
            yield form

    async def _read(self, request: Request, limits: Limits, form: Form, stack: ExitStack) -> None:
        most = limits.upload_bytes + _FORM_BYTES
        too_large = TooLargeError(f"the request has more bytes than the limit of {limits.upload_bytes}")
        if int(request.headers.get("content-length") or 0) > most:
            raise too_large
        ended: list[bool] = []
        parser = self._parser(request, form, stack, on_end=lambda: ended.append(True))
        received = 0
        blocks = aiter(request.stream())
        while block := await _next_block(blocks, limits.idle_s):
            received += len(block)
            if received > most:
                raise too_large
            with _named_errors():
                parser.write(block)
        if not ended:
            raise InvalidRequestError("the form ends before its last boundary; send it again")

    def _parser(
        self, request: Request, form: Form, stack: ExitStack, on_end: Callable[[], None]
    ) -> FormParser:
        """Return a parser that fills a form, and deletes its file when the stack ends."""
        kind, options = parse_options_header(request.headers.get("content-type"))
        if kind != b"multipart/form-data" or b"boundary" not in options:
            raise InvalidRequestError("send the recording as multipart/form-data, in the field file")

        def add_field(part: Field) -> None:
            name = (part.field_name or b"").decode("utf-8", "replace")
            form.fields.setdefault(name, []).append((part.value or b"").decode("utf-8", "replace"))
            form.num_parts += 1
            if form.num_parts > _MAX_PARTS:
                raise FormParserError(f"more than {_MAX_PARTS} parts")

        def add_file(part: File) -> None:
            stack.callback(part.close)
            if part.field_name != b"file" or form.is_received:
                raise FormParserError("a request has one recording, in the field file")
            form.is_received, form.size_bytes = True, part.size
            part.file_object.seek(0)
            form.head = part.file_object.read(_HEAD_BYTES)
            if part.actual_file_name is not None:
                form.path = Path(os.fsdecode(part.actual_file_name))

        config = {"UPLOAD_DIR": str(self.path), "MAX_MEMORY_FILE_SIZE": 0}
        with _named_errors():
            return FormParser(
                "multipart/form-data", add_field, add_file, on_end, options[b"boundary"], config=config
            )


async def _next_block(blocks: AsyncIterator[bytes], idle_s: float) -> bytes:
    """Return the next block of a request's body, empty at its end. Raises TooSlowError, ClientDisconnect."""
    try:
        with anyio.fail_after(idle_s):
            return await anext(blocks)
    except TimeoutError:
        raise TooSlowError(f"nothing was sent for {idle_s:g} s") from None


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except FormParserError as error:
        raise InvalidRequestError(f"the form cannot be read: {error}") from error
    except (FileError, OSError) as error:
        raise NoSpaceError("the recording cannot be stored; the server's disk may be full") from error
