"""What the endpoints share: the inference process, limits, metrics, and the room that is left."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from sewd_serve.errors import BusyError, InvalidRequestError, NotFoundError, UnavailableError
from sewd_serve.keys import Keys
from sewd_serve.metrics import Metrics
from sewd_serve.process import InferenceProcess
from sewd_serve.settings import Settings
from sewd_serve.uploads import Spool
from sewd_serve.worker.messages import Model

_PURPOSES = {"ctc": "transcription", "classification": "classification"}
"""Task of a model → what it is for, in messages."""


class Service:
    """The state of a running server.

    waiting: recordings that are received, wait or run. streams: live streams. is_draining: it is to stop, and
    takes nothing new. stopping: live streams are to end.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.limits = settings.limits
        self.metrics = Metrics()
        self.process = InferenceProcess(settings.setup, stalled_s=settings.limits.stalled_s)
        self.spool = Spool(settings.spool)
        self.keys = Keys(settings.keys)
        self.waiting = self.streams = 0
        self.is_draining = False
        self.stopping = asyncio.Event()

    async def start(self) -> None:
        """Load the models. Raises StartError."""
        await self.process.start()

    async def stop(self) -> None:
        """End the inference process and remove what was uploaded."""
        await self.process.stop()
        self.spool.close()

    @property
    def models(self) -> tuple[Model, ...]:
        """The models that are served."""
        return self.process.models

    def find_model(self, name: str | None, *, task: str) -> Model:
        """Return the model of a name, or the first of a task where none is given. Raises ServeError."""
        models = [model for model in self.models if model.task == task]
        purpose = _PURPOSES.get(task, task)
        if name is None:
            if models:
                return models[0]
            raise NotFoundError(f"no model for {purpose} is served here", param="model")
        for model in self.models:
            if model.name == name:
                if model.task != task:
                    actual = _PURPOSES.get(model.task, model.task)
                    raise InvalidRequestError(f"{name} is for {actual}, not for {purpose}", param="model")
                return model
        known = ", ".join(model.name for model in models) or "none"
        raise NotFoundError(
            f"there is no model {name[:60]!r} for {purpose}; served are: {known}", param="model"
        )

    @contextmanager
    def room_for_recording(self) -> Iterator[None]:
        """Count a recording. Raises BusyError, UnavailableError."""
        self._refuse_when_stopping()
        if self.waiting >= self.limits.waiting:
            raise self.metrics.rejected(
                "queue_full", BusyError(f"the queue is full ({self.waiting} recordings); try again later")
            )
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    @contextmanager
    def room_for_stream(self) -> Iterator[None]:
        """Count a live stream. Raises BusyError, UnavailableError."""
        self._refuse_when_stopping()
        if self.streams >= self.limits.streams:
            raise self.metrics.rejected(
                "streams", BusyError(f"all streams are taken ({self.streams}); try again later")
            )
        self.streams += 1
        self.metrics.streams.set(self.streams)
        try:
            yield
        finally:
            self.streams -= 1
            self.metrics.streams.set(self.streams)

    def _refuse_when_stopping(self) -> None:
        if self.is_draining:
            raise UnavailableError("the server is stopping")
