"""Home Assistant's protocol, Wyoming: an utterance in, its words as they become final, and its transcript."""

import asyncio
import json
import logging
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import version

import anyio
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable, async_write_event
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info

from sewd_serve.api.fields import check_language, parse_hotwords
from sewd_serve.errors import InvalidRequestError, ServeError
from sewd_serve.live import Live, StreamOptions, open_stream, text_of
from sewd_serve.service import Service
from sewd_serve.worker.messages import Decode

_LOG = logging.getLogger("sewd.serve")
_MAX_BYTES = 1 << 20
"""Of an event's JSON, and of its audio: half a minute at 16 kHz."""

_LINGER_S = 5.0
_ATTRIBUTION = Attribution(name="sewd", url="")


@asynccontextmanager
async def serve_wyoming(service: Service, bound: socket.socket) -> AsyncIterator[None]:
    """Serve clients on a bound socket until the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            if len(tasks) <= service.limits.streams:
                await _Client(service, reader, writer).run()
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(accept, sock=bound, limit=_MAX_BYTES)
    host, port = bound.getsockname()[:2]
    _LOG.info("serving Home Assistant at tcp://%s:%d", f"[{host}]" if ":" in host else host, port)
    try:
        yield
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Client:
    """One connection: utterances one after another."""

    def __init__(self, service: Service, reader: StreamReader, writer: StreamWriter) -> None:
        self._service, self._reader, self._writer = service, reader, writer
        self._transcribe = Transcribe()
        self._stack = AsyncExitStack()  # of the utterance
        self._live: Live | None = None
        self._listening: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Answer events until the client leaves, or makes an error."""
        try:
            with suppress(OSError):  # it left
                await self._answer()
        except Exception as error:
            _LOG.error("unexpected error, a Wyoming client", exc_info=error)
        finally:
            await self._end_utterance()

    async def _answer(self) -> None:
        try:
            while (event := await self._read()) is not None:
                await self._handle(event)
        except ServeError as error:
            await self._refuse(error)

    async def _refuse(self, error: ServeError) -> None:
        """Send an error as the last event; a client that still sends would not read it once we had closed."""
        await self._end_utterance()
        await self._write(Error(text=error.message, code=error.actual_code))
        self._writer.write_eof()
        with anyio.move_on_after(_LINGER_S):
            await self._discard()

    async def _discard(self) -> None:
        while await self._reader.read(_MAX_BYTES):
            pass

    async def _read(self) -> Event | None:
        """Return the next event, None when the client has left or sends nothing. Raises ServeError."""
        while self._live is not None and self._live.is_behind:
            self._check_listening()
            await asyncio.sleep(0.02)
        try:
            with anyio.fail_after(self._service.limits.stream_idle_s):
                return await self._read_event()
        except (asyncio.IncompleteReadError, TimeoutError):
            return None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise InvalidRequestError("an event cannot be read", code="invalid_event") from None

    async def _read_event(self) -> Event | None:
        """Return the next event. The package's own reader has no limits."""
        line = await self._reader.readline()
        if not line:
            return None
        header = json.loads(line)
        sizes = int(header.get("data_length") or 0), int(header.get("payload_length") or 0)
        if not all(0 <= size <= _MAX_BYTES for size in sizes):
            raise InvalidRequestError(f"an event has more than {_MAX_BYTES} bytes", code="too_large")
        content = header.get("data") or {}
        if sizes[0]:
            content = {**content, **json.loads(await self._reader.readexactly(sizes[0]))}
        payload = await self._reader.readexactly(sizes[1]) if sizes[1] else None
        return Event(type=header["type"], data=content, payload=payload)

    async def _handle(self, event: Event) -> None:
        if Describe.is_type(event.type):
            await self._write(self._info())
        elif Transcribe.is_type(event.type):
            self._transcribe = Transcribe.from_event(event)
        elif AudioStart.is_type(event.type):
            try:
                start = AudioStart.from_event(event)
            except KeyError as error:
                raise InvalidRequestError(f"audio-start has no {error}", code="invalid_event") from error
            await self._begin_utterance(start)
        elif AudioChunk.is_type(event.type) and self._live is not None:
            self._check_listening()
            self._live.append(event.payload or b"")
        elif AudioStop.is_type(event.type) and self._live is not None and self._listening is not None:
            self._live.commit()
            await self._listening
            await self._end_utterance()

    async def _begin_utterance(self, start: AudioStart) -> None:
        await self._end_utterance()
        if (start.width, start.channels) != (2, 1):
            raise InvalidRequestError("audio must be mono, of 16 bits", code="invalid_audio")
        asked = self._transcribe
        check_language(asked.language and str(asked.language), self._service.settings.language)
        keywords = [str(each) for each in (*(asked.transcript_names or ()), *(asked.transcript_terms or ()))]
        options = StreamOptions(
            model=self._service.find_model(asked.name, task="ctc").name,
            rate_hz=start.rate,
            decode=Decode(hotwords=parse_hotwords(keywords, param="transcript_names")),
        )
        self._stack.enter_context(self._service.room_for_stream())
        self._live = await self._stack.enter_async_context(open_stream(self._service, options))
        self._listening = asyncio.create_task(self._listen(self._live))

    async def _listen(self, live: Live) -> None:
        """Send words as they become final, and all of them at the end. Raises ServeError."""
        text, is_final = "", False
        await self._write(TranscriptStart(language=self._transcribe.language))
        while not is_final:
            heard = await live.receive()
            if chunk := text_of(heard.committed, is_first=not text):
                text += chunk
                await self._write(TranscriptChunk(text=chunk))
            is_final = heard.is_final
        await self._write(Transcript(text=text, language=self._transcribe.language))
        await self._write(TranscriptStop())

    async def _end_utterance(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        self._live = self._listening = None
        await self._stack.aclose()

    def _check_listening(self) -> None:
        """Raise ServeError if nothing is heard any more."""
        if self._listening is not None and self._listening.done():
            self._listening.result()

    async def _write(self, event: Eventable) -> None:
        await async_write_event(event.event(), self._writer)

    def _info(self) -> Info:
        """Return what is served. Home Assistant needs a language: English, unless the server knows better."""
        languages = [self._service.settings.language or "en"]
        number = version("sewd")
        models = [
            AsrModel(
                name=model.name,
                attribution=_ATTRIBUTION,
                installed=True,
                description=model.name,
                version=number,
                languages=languages,
            )
            for model in self._service.models
            if model.task == "ctc"
        ]
        program = AsrProgram(
            name="sewd",
            attribution=_ATTRIBUTION,
            installed=True,
            description="SEW-D speech recognition",
            version=number,
            models=models,
            supports_transcript_streaming=True,
        )
        return Info(asr=[program])
