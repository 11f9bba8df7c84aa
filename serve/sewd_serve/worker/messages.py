"""What the server and its inference process say to each other: frozen dataclasses, pickled, in frames.

Requests and replies carry the id of the piece of work they belong to. This module imports neither numpy nor
the runtime, so that the server's process stays small.
"""

import pickle
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

_LENGTH = struct.Struct(">I")
HEADER_BYTES = _LENGTH.size

SAMPLE_BYTES = {"pcm16": 2, "pcmu": 1, "pcma": 1}
"""Encoding of live audio → bytes of a sample: 16 bits, and the two of telephony in 8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle to serve. path: its folder, or the name of an embedded model; None: the default one."""

    name: str
    path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The first message: what to load, and how to run it.

    workers: threads that each run one batch at a time. threads: CPU threads of one run.
    """

    bundles: tuple[Bundle, ...]
    precision: str | None
    provider: str
    workers: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decode:
    """How emissions become text. decoder: None is the bundle's default, or beam where there are hotwords."""

    decoder: str | None = None
    beam_width: int | None = None
    hotwords: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcribe:
    """A recording to transcribe.

    path: an uploaded file. vad: skip silence in short recordings too. subtitles: add them to verbose_json.
    """

    id: int
    model: str
    path: str
    response_format: str
    granularities: tuple[str, ...]
    decode: Decode
    vad: bool
    subtitles: bool
    max_duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Classify:
    """A recording to classify."""

    id: int
    model: str
    path: str
    top_k: int
    max_duration_s: float


CHUNK_S = 0.5
"""New speech for each run of a live stream's model, the runtime's default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStream:
    """A live stream. encoding: a key of SAMPLE_BYTES. pause_s: the pause that ends a turn, None: as usual.

    chunk_s: new speech for each run of the model.
    """

    id: int
    model: str
    encoding: str
    rate_hz: int
    decode: Decode
    pause_s: float | None = None
    chunk_s: float = CHUNK_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Audio:
    """The next samples of a stream, encoded."""

    id: int
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """End the stream's utterance: all its words are final, and the next one begins."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear:
    """Forget the utterance of a stream that is under way."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Nobody waits for this any more: stop at the next window, and close a stream."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """Open all bundles again; a name keeps its old model if its bundle cannot be opened."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Ask how long the oldest run has lasted."""

    id: int


Request: TypeAlias = Transcribe | Classify | OpenStream | Audio | Commit | Clear | Cancel | Reload | Ping


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that is served. task: ctc or classification. load_s: how long it took to load and to verify."""

    name: str
    task: str
    precision: str
    provider: str
    load_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The models are loaded, and each has reproduced its golden utterance. id: 0, or that of a Reload."""

    id: int
    models: tuple[Model, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A stream is open."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """The next piece of a recording's text; joined, the pieces are the whole text."""

    id: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a recording cost: seconds of audio, in the queue and running, and the recordings of its batch."""

    audio_s: float
    queue_s: float
    run_s: float
    batch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A recording is finished. body: the answer, as text or as the content of JSON."""

    id: int
    text: str
    body: Any
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveWord:
    """One word of a stream; times in seconds from the start of the stream. gap: what stands before it."""

    gap: str
    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTurn:
    """Speech begins or ends, ``after`` so many of the committed words of its message."""

    begins: bool
    time_s: float
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a stream has recognized since the last message.

    utterance: how many Commits and Clears came before. is_final: this answers a Commit; the first message of
    an utterance answers a Clear before it. audio_s: what the stream has taken so far. came: when the
    newest audio came, in seconds of the monotonic clock, which processes share.
    """

    id: int
    committed: tuple[LiveWord, ...]
    pending: tuple[LiveWord, ...]
    turns: tuple[LiveTurn, ...]
    utterance: int
    is_final: bool
    audio_s: float
    came: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Something could not be done. kind: the name of the error's class; only a client's fault is a 4xx."""

    id: int
    kind: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """busy_s: how long the longest run of a worker has lasted, 0 if all are idle. workers: how many live."""

    id: int
    busy_s: float
    workers: int


Reply: TypeAlias = Ready | Opened | Delta | Done | Heard | Failed | Pong


def encode(message: object) -> bytes:
    """Return a message as a frame: four bytes of length, then its pickle."""
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(content)) + content


def decode_length(header: bytes) -> int:
    """Return the length of the message that follows a header."""
    [length] = _LENGTH.unpack(header)
    return int(length)


def decode(content: bytes) -> Any:
    """Return a message. Only for frames of our own processes, because pickles run code."""
    return pickle.loads(content)  # noqa: S301


def read(pipe: BinaryIO) -> Any:
    """Return the next message of a pipe, None at its end."""
    header = pipe.read(HEADER_BYTES)
    return decode(pipe.read(decode_length(header))) if len(header) == HEADER_BYTES else None
