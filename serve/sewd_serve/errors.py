"""Errors as clients see them: a status, and OpenAI's JSON.

ServeError
├── InvalidRequestError    400  a parameter is missing, unknown or out of range; the audio cannot be used
├── UnauthorizedError      401  no key, or a wrong one
├── ForbiddenError         403  a page of another site
├── NotFoundError          404  no such model
├── UnknownPathError       404  nothing is served at this path
├── MethodError            405  the path takes another method
├── TooSlowError           408  the client sent nothing for too long
├── TooLargeError          413  more bytes than the limit
├── UnsupportedMediaError  415  a container that is not read here
├── BusyError              429  the queue is full
├── InternalError          500  the model failed
├── UnavailableError       503  the inference process died or is starting
└── NoSpaceError           507  the disk is full
"""

from typing import Any, ClassVar


class ServeError(Exception):
    """An error that is a client's answer.

    param: the parameter it is about. code: a short name for programs. retry_after_s: when to try again.
    """

    status: ClassVar[int]
    kind: ClassVar[str] = "invalid_request_error"
    code: ClassVar[str | None] = None
    retry_after_s: ClassVar[int | None] = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message, self.param, self.actual_code = message, param, code or self.code

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the answer, as OpenAI's."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.actual_code,
            }
        }

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer."""
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}


class InvalidRequestError(ServeError):
    """A parameter is missing, unknown or out of range, or the audio cannot be used."""

    status = 400


class UnauthorizedError(ServeError):
    """There is no key, or a wrong one."""

    status = 401
    kind = "authentication_error"
    code = "invalid_api_key"

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer, with the scheme that is asked for."""
        return {"WWW-Authenticate": "Bearer"}


class ForbiddenError(ServeError):
    """A page of another site may not call."""

    status = 403
    kind = "permission_error"
    code = "origin_not_allowed"


class NotFoundError(ServeError):
    """There is no such model."""

    status = 404
    code = "model_not_found"


class UnknownPathError(ServeError):
    """Nothing is served at this path."""

    status = 404
    code = "unknown_url"


class MethodError(ServeError):
    """The path takes other methods."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, *, allowed: str) -> None:
        super().__init__(message)
        self._allowed = allowed

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer, with the methods that the path takes."""
        return {"Allow": self._allowed}


class TooSlowError(ServeError):
    """The client sent nothing for too long."""

    status = 408
    code = "request_timeout"


class TooLargeError(ServeError):
    """There are more bytes than the limit."""

    status = 413
    code = "file_too_large"


class UnsupportedMediaError(ServeError):
    """The file is of a container that is not read here."""

    status = 415
    code = "unsupported_format"


class BusyError(ServeError):
    """The queue is full."""

    status = 429
    kind = "rate_limit_error"
    code = "queue_full"
    retry_after_s = 1


class InternalError(ServeError):
    """The model failed."""

    status = 500
    kind = "server_error"


class UnavailableError(ServeError):
    """The inference process died or is starting, or the server is stopping."""

    status = 503
    kind = "server_error"
    code = "unavailable"
    retry_after_s = 2


class NoSpaceError(ServeError):
    """The disk is full."""

    status = 507
    kind = "server_error"
    code = "no_space"


_CODES = {
    "AudioDecodeError": "invalid_audio",
    "AudioTooLongError": "audio_too_long",
    "AudioTooShortError": "audio_too_short",
    "AudioValueError": "invalid_audio",
    "DecodingError": "invalid_value",
    "HotwordError": "invalid_value",
    "LexiconError": "invalid_value",
    "TaskError": "model_not_supported",
}
"""Error of the runtime → code of the answer, for those that are the client's to mend."""


_PARAMS = {"HotwordError": "sewd_hotwords", "TaskError": "model"}


def from_runtime(kind: str, message: str) -> ServeError:
    """Return the answer for an error of the inference process."""
    if kind not in _CODES:
        return InternalError(message)
    param = "file" if kind.startswith("Audio") else _PARAMS.get(kind)
    return InvalidRequestError(message, param=param, code=_CODES[kind])
