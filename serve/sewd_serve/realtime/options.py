"""What a client sets by ``session.update``; each field that is left out keeps its value."""

from dataclasses import dataclass, replace
from typing import Any

from sewd_serve.api.fields import check_language, parse_hotwords
from sewd_serve.errors import InvalidRequestError
from sewd_serve.live import StreamOptions
from sewd_serve.service import Service
from sewd_serve.worker.messages import Decode

_FORMATS = {"audio/pcm": "pcm16", "audio/pcmu": "pcmu", "audio/pcma": "pcma"}
_PCM_HZ, _TELEPHONE_HZ = 24_000, 8_000
_RATES_HZ = range(4_000, 192_001)
_SILENCE_MS = 500
KEYWORDS = "session.audio.input.transcription.keywords"
"""The field that holds hotwords, as errors name it."""
_SILENCES_MS = range(20, 60_001)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """The options of a session.

    silence_ms: the pause that ends a turn; None: the client ends turns, by commits.
    sends_pending, sends_words: the extensions that the client asked for.
    """

    model: str
    encoding: str = "pcm16"
    rate_hz: int = _PCM_HZ
    language: str | None = None
    keywords: tuple[str, ...] = ()
    silence_ms: int | None = _SILENCE_MS
    sends_pending: bool = False
    sends_words: bool = False

    @property
    def stream(self) -> StreamOptions:
        """How the session's stream hears. Raises InvalidRequestError."""
        return StreamOptions(
            model=self.model,
            encoding=self.encoding,
            rate_hz=self.rate_hz,
            decode=Decode(hotwords=parse_hotwords(self.keywords, param=KEYWORDS)),
            pause_s=(self.silence_ms or _SILENCE_MS) / 1000,
        )

    def as_session(self, number: str) -> dict[str, Any]:
        """Return them as OpenAI's session object."""
        [kind] = [kind for kind, encoding in _FORMATS.items() if encoding == self.encoding]
        transcription: dict[str, Any] = {"model": self.model, "keywords": list(self.keywords)}
        if self.language is not None:
            transcription["language"] = self.language
        turns = self.silence_ms and {"type": "server_vad", "silence_duration_ms": self.silence_ms}
        return {
            "id": number,
            "object": "realtime.transcription_session",
            "type": "transcription",
            "audio": {
                "input": {
                    "format": {"type": kind, "rate": self.rate_hz},
                    "transcription": transcription,
                    "turn_detection": turns,
                    "noise_reduction": None,
                }
            },
            "sewd": {"pending": self.sends_pending, "words": self.sends_words},
        }


def update_options(options: SessionOptions, session: dict[str, Any], service: Service) -> SessionOptions:
    """Return the options after an update. Raises InvalidRequestError, NotFoundError."""
    if session.get("type", "transcription") != "transcription":
        raise _invalid("session.type", "transcription (conversations are not served)", session["type"])
    heard = _section(_section(session, "audio", "session"), "input", "session.audio")
    path = "session.audio.input"
    if "format" in heard:
        options = _update_format(options, _section(heard, "format", path))
    if "transcription" in heard:
        options = _update_transcription(options, _section(heard, "transcription", path), service)
    if "turn_detection" in heard:
        turns = None if heard["turn_detection"] is None else _section(heard, "turn_detection", path)
        silence = None if turns is None else _silence(turns, options.silence_ms or _SILENCE_MS)
        options = replace(options, silence_ms=silence)
    extensions = _section(session, "sewd", "session")
    return replace(
        options,
        sends_pending=_flag(extensions, "pending", options.sends_pending),
        sends_words=_flag(extensions, "words", options.sends_words),
    )


def _update_format(options: SessionOptions, content: dict[str, Any]) -> SessionOptions:
    kind, path = content.get("type", "audio/pcm"), "session.audio.input.format"
    if not isinstance(kind, str) or kind not in _FORMATS:
        raise _invalid(f"{path}.type", f"one of {', '.join(_FORMATS)}", kind)
    usual = _PCM_HZ if kind == "audio/pcm" else _TELEPHONE_HZ
    rate = content.get("rate", usual)
    if type(rate) is not int or rate not in (_RATES_HZ if kind == "audio/pcm" else (usual,)):
        wanted = f"a whole number of {_RATES_HZ[0]} to {_RATES_HZ[-1]}" if kind == "audio/pcm" else usual
        raise _invalid(f"{path}.rate", wanted, rate)
    return replace(options, encoding=_FORMATS[kind], rate_hz=rate)


def _update_transcription(
    options: SessionOptions, content: dict[str, Any], service: Service
) -> SessionOptions:
    path = "session.audio.input.transcription"
    if content.get("model") is not None:
        options = replace(options, model=service.find_model(str(content["model"]), task="ctc").name)
    languages = content.get("languages") or [content.get("language")]
    if not isinstance(languages, list) or not all(isinstance(each, str | None) for each in languages):
        raise _invalid(f"{path}.languages", "a list of codes, such as en", languages)
    for language in filter(None, languages):
        options = replace(options, language=check_language(language, service.settings.language))
    keywords = content.get("keywords")
    if keywords is not None:
        if not isinstance(keywords, list) or not all(isinstance(each, str) for each in keywords):
            raise _invalid(f"{path}.keywords", "a list of texts", keywords)
        options = replace(options, keywords=tuple(keywords))
    return options


def _silence(turns: dict[str, Any], usual: int) -> int:
    path = "session.audio.input.turn_detection"
    if turns.get("type", "server_vad") != "server_vad":
        raise _invalid(f"{path}.type", "server_vad, or turn_detection null", turns["type"])
    silence = turns.get("silence_duration_ms")
    if silence is None:
        return usual
    if type(silence) is not int or silence not in _SILENCES_MS:
        wanted = f"a whole number of {_SILENCES_MS[0]} to {_SILENCES_MS[-1]}"
        raise _invalid(f"{path}.silence_duration_ms", wanted, silence)
    return silence


def _flag(content: dict[str, Any], name: str, usual: bool) -> bool:
    value = content.get(name, usual)
    if not isinstance(value, bool):
        raise _invalid(f"session.sewd.{name}", "true or false", value)
    return value


def _section(content: dict[str, Any], name: str, path: str) -> dict[str, Any]:
    """Return an object inside another, empty if it is absent."""
    section = content.get(name)
    if section is not None and not isinstance(section, dict):
        raise _invalid(f"{path}.{name}", "an object", section)
    return section or {}


def _invalid(path: str, wanted: object, value: object) -> InvalidRequestError:
    return InvalidRequestError(
        f"{path} must be {wanted}, not {str(value)[:60]!r}", param=path, code="invalid_value"
    )
