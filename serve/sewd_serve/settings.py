"""What a server is told when it starts."""

from dataclasses import dataclass, field
from pathlib import Path

from sewd_serve.worker.messages import CHUNK_S, Setup


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a client may ask for; beyond it the answer says which limit it was.

    waiting: recordings that wait or run; one more is refused with 429. streams: live streams.
    stream_idle_s: how long the client of a stream may send nothing.
    upload_bytes: of one recording. duration_s: of its audio. idle_s: how long a client may send nothing of a
    request that it has begun. upload_s: how long one upload may take. drain_s: how long a server that is to
    stop waits for what it has begun. stalled_s: a run that lasts longer means that the process hangs.
    """

    waiting: int = 128
    streams: int = 256
    stream_idle_s: float = 300.0
    upload_bytes: int = 100_000_000
    duration_s: float = 4 * 3600.0
    idle_s: float = 20.0
    upload_s: float = 300.0
    drain_s: float = 30.0
    stalled_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that ``sewd serve`` decides.

    language: of the models, an ISO 639-1 code; None: not known, and any is accepted.
    keys: one of them must be given; none: no key is asked for.
    origins: web pages that may call from a browser. admin: serve /admin/reload. page: serve the page at /.
    spool: the folder in which a folder for uploads is made; None: the system's for temporary files.
    chunk_s: new speech for each run of a live stream's model.
    """

    setup: Setup
    limits: Limits = field(default_factory=Limits)
    language: str | None = None
    keys: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    admin: bool = False
    page: bool = True
    spool: Path | None = None
    chunk_s: float = CHUNK_S
