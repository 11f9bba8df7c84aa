"""``POST /v1/audio/transcriptions`` and ``/v1/audio/classifications``: OpenAI's form, and fields of ours."""

import json
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from sewd_serve.api.endpoint import Respond, service_of, unless_client_leaves
from sewd_serve.api.fields import (
    check_language,
    check_temperature,
    read_choice,
    read_choices,
    read_count,
    read_decode,
    read_flag,
    refuse_unknown,
)
from sewd_serve.errors import InvalidRequestError, ServeError, UnsupportedMediaError
from sewd_serve.process import Conversation
from sewd_serve.service import Service
from sewd_serve.uploads import Form
from sewd_serve.worker.messages import Classify, Delta, Done, Reply, Transcribe

EXTENSIONS = ("sewd_hotwords", "sewd_decoder", "sewd_beam_width", "sewd_vad", "sewd_subtitles")
FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
CLASSIFIED_S = 60.0
"""A recording gets its label as a whole, and the memory for that grows with the square of its length."""

_MEDIA_TYPES = {"text": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt"}


async def transcribe(request: Request, respond: Respond) -> None:
    """Answer with the transcript of the recording in the field ``file``."""
    service = service_of(request)
    with service.room_for_recording():
        async with (
            service.spool.receive(request, service.limits) as form,
            service.process.conversation() as talk,
        ):
            message, language = _read_form(form, service, talk.id)
            is_streamed = read_flag(form, "stream")
            talk.send(message)
            if is_streamed:
                first = await unless_client_leaves(request, talk.receive())
                events = StreamingResponse(_events(first, talk, service), media_type="text/event-stream")
                await unless_client_leaves(request, respond(events))
            else:
                done = await unless_client_leaves(request, _result(talk, service))
                await respond(_transcript(done, message.response_format, language))


async def classify(request: Request, respond: Respond) -> None:
    """Answer with the most probable labels of the recording in the field ``file``."""
    service = service_of(request)
    with service.room_for_recording():
        async with (
            service.spool.receive(request, service.limits) as form,
            service.process.conversation() as talk,
        ):
            model = service.find_model(form.get("model"), task="classification")
            top_k = read_count(form, "top_k", most=1000) or 5
            talk.send(
                Classify(
                    id=talk.id,
                    model=model.name,
                    path=_recording(form),
                    top_k=top_k,
                    max_duration_s=min(service.limits.duration_s, CLASSIFIED_S),
                )
            )
            done = await unless_client_leaves(request, _result(talk, service))
            await respond(JSONResponse(done.body))


def _read_form(form: Form, service: Service, number: int) -> tuple[Transcribe, str | None]:
    """Return what a form asks for, and the language of the answer. Raises ServeError."""
    refuse_unknown(form, EXTENSIONS)
    check_temperature(form)
    if form.get("response_format") == "diarized_json":
        raise InvalidRequestError(
            "speakers are not told apart here; use verbose_json", param="response_format"
        )
    model = service.find_model(form.get("model"), task="ctc")
    message = Transcribe(
        id=number,
        model=model.name,
        path=_recording(form),
        response_format=read_choice(form, "response_format", FORMATS, default="json"),
        granularities=read_choices(form, "timestamp_granularities", ("word", "segment")),
        decode=read_decode(form),
        vad=read_flag(form, "sewd_vad") or form.get("chunking_strategy") is not None,
        subtitles=read_flag(form, "sewd_subtitles"),
        max_duration_s=service.limits.duration_s,
    )
    return message, check_language(form.get("language"), service.settings.language)


def _recording(form: Form) -> str:
    """Return the path of the recording. Raises InvalidRequestError, UnsupportedMediaError."""
    if not form.is_received:
        raise InvalidRequestError("there is no recording; send it in the field file", param="file")
    if form.path is None:
        raise InvalidRequestError("the recording is empty", param="file", code="invalid_audio")
    if not form.is_named and form.head.isascii() and form.head.decode().isprintable():
        raise InvalidRequestError(
            "the field file holds text, not a recording; with curl: -F file=@PATH", param="file"
        )
    is_media = form.head.startswith(b"\x1a\x45\xdf\xa3") or form.head[4:8] == b"ftyp"
    if is_media and find_spec("av") is None:
        raise UnsupportedMediaError(
            "mp4, m4a and webm are not read here; send WAV, FLAC, MP3 or Ogg "
            "(ffmpeg -i FILE -ac 1 -ar 16000 FILE.flac), or pip install 'sewd[media]' on the server",
            param="file",
        )
    return str(form.path)


async def _result(talk: Conversation, service: Service) -> Done:
    """Wait for the answer to a recording. Raises ServeError."""
    while not isinstance(reply := await talk.receive(), Done):
        pass
    talk.is_done = True
    service.metrics.recording(reply.usage)
    return reply


async def _events(reply: Reply, talk: Conversation, service: Service) -> AsyncIterator[str]:
    """Yield server-sent events from a first reply on: the text as it comes, and all of it at the end.

    An error after the first reply is an event too.
    """
    try:
        while isinstance(reply, Delta):
            yield _event({"type": "transcript.text.delta", "delta": reply.text})
            reply = await talk.receive()
        assert isinstance(reply, Done)
        talk.is_done = True
        service.metrics.recording(reply.usage)
        yield _event({"type": "transcript.text.done", "text": reply.text})
    except ServeError as error:
        yield _event({"type": "error", **error.body})


def _event(content: dict[str, Any]) -> str:
    return f"event: {content['type']}\ndata: {json.dumps(content, ensure_ascii=False)}\n\n"


def _transcript(done: Done, response_format: str, language: str | None) -> Response:
    if response_format in _MEDIA_TYPES:
        return Response(done.body, media_type=f"{_MEDIA_TYPES[response_format]}; charset=utf-8")
    if response_format == "verbose_json":
        return JSONResponse({**done.body, "language": language or "unknown"})
    return JSONResponse(done.body)
