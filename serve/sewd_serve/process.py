"""The inference process as the server sees it: started, asked, watched, and started again when it dies."""

import asyncio
import itertools
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio

from sewd_serve.errors import UnavailableError, from_runtime
from sewd_serve.worker.messages import (
    HEADER_BYTES,
    Cancel,
    Failed,
    Model,
    Ping,
    Pong,
    Ready,
    Reload,
    Reply,
    Request,
    Setup,
    decode,
    decode_length,
    encode,
)

_PING_S = 2.0
_MAX_PAUSE_S = 30.0
"""A process that dies again and again is started less and less often."""

# Not "-m", which would import modules of the folder that the server was started in.
_WORKER = (
    "import sys; sys.path[:] = filter(None, sys.path); from sewd_serve.worker.__main__ import main; main()"
)

_LOG = logging.getLogger("sewd.serve")


class StartError(Exception):
    """The inference process could not load the models; the message is that of the runtime."""


class InferenceProcess:
    """A child process, and the conversations with it.

    models: what it serves. restarts: how often it was started again. is_ready: it answers.
    """

    def __init__(self, setup: Setup, *, stalled_s: float) -> None:
        self.models: tuple[Model, ...] = ()
        self.restarts = 0
        self.is_ready = False
        self.is_stalled = False
        self._setup, self._stalled_s = setup, stalled_s
        self._numbers = itertools.count(1)
        self._inboxes: dict[int, asyncio.Queue[Reply]] = {}
        self._process: Process | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start it and wait until the models are loaded. Raises StartError."""
        await self._spawn()
        self._tasks = [asyncio.create_task(self._supervise()), asyncio.create_task(self._watch())]

    async def stop(self) -> None:
        """End it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._end()

    async def reload(self) -> None:
        """Open all bundles again. Raises ServeError if one cannot be opened; the old ones are served on."""
        async with self.conversation() as talk:
            talk.send(Reload(id=talk.id))
            reply = await talk.receive()
            assert isinstance(reply, Ready)
            self.models = reply.models

    @asynccontextmanager
    async def conversation(self) -> AsyncIterator["Conversation"]:
        """Open a conversation; what it was about is cancelled when it ends. Raises UnavailableError."""
        if not self.is_ready:
            raise UnavailableError("the model is being started; try again")
        talk = Conversation(self, next(self._numbers))
        self._inboxes[talk.id] = talk.inbox
        try:
            yield talk
        finally:
            self._inboxes.pop(talk.id, None)
            if not talk.is_done:
                self.send(Cancel(id=talk.id))

    def send(self, request: Request) -> None:
        """Send a request, unless the process is gone, which its conversations are told anyway."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError, RuntimeError):
                self._process.stdin.write(encode(request))

    async def _spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _WORKER, stdin=PIPE, stdout=PIPE
        )
        assert self._process.stdin is not None
        self._process.stdin.write(encode(self._setup))
        reply = await self._read()
        if not isinstance(reply, Ready):
            await self._end()
            raise StartError(reply.message if isinstance(reply, Failed) else "the inference process died")
        self.models, self.is_ready, self.is_stalled = reply.models, True, False

    async def _read(self) -> Reply | None:
        """Return the next reply, None when the process is gone."""
        assert self._process is not None and self._process.stdout is not None
        pipe = self._process.stdout
        try:
            header = await pipe.readexactly(HEADER_BYTES)
            reply: Reply = decode(await pipe.readexactly(decode_length(header)))
        except (asyncio.IncompleteReadError, OSError):
            return None
        return reply

    async def _supervise(self) -> None:
        """Hand replies to their conversations; when the process dies, end them and start it again."""
        while True:
            while (reply := await self._read()) is not None:
                if (inbox := self._inboxes.get(reply.id)) is not None:
                    inbox.put_nowait(reply)
            self.is_ready = False
            await self._end()
            assert self._process is not None
            _LOG.error(
                "the inference process died with status %s; starting it again", self._process.returncode
            )
            for number, inbox in list(self._inboxes.items()):
                inbox.put_nowait(
                    Failed(id=number, kind="Died", message="the inference process died; try again")
                )
            await self._restart()

    async def _restart(self) -> None:
        pause_s = 0.0
        while not self.is_ready:
            await asyncio.sleep(pause_s)
            self.restarts += 1
            try:
                await self._spawn()
            except (StartError, OSError) as error:
                pause_s = min(_MAX_PAUSE_S, 2 * pause_s or 0.5)
                _LOG.error("the inference process does not start: %s; trying again in %g s", error, pause_s)

    async def _watch(self) -> None:
        """Kill a process in which a run does not end, or that does not answer."""
        while True:
            await asyncio.sleep(_PING_S)
            if not self.is_ready:
                continue
            with suppress(UnavailableError):
                self.is_stalled = not await self._makes_progress()
            if self.is_stalled and self._process is not None:
                self.is_ready = False
                _LOG.error("the inference process makes no progress; ending it")
                with suppress(ProcessLookupError):
                    self._process.kill()

    async def _makes_progress(self) -> bool:
        async with self.conversation() as talk:
            talk.send(Ping(id=talk.id))
            reply = None
            with anyio.move_on_after(self._stalled_s):  # wait_for may swallow the end of this task
                reply = await talk.inbox.get()
            if reply is None:
                return False
            talk.is_done = True
            return not isinstance(reply, Pong) or (
                reply.busy_s < self._stalled_s and reply.workers == self._setup.workers
            )

    async def _end(self) -> None:
        """Kill the process if it lives, and wait for it."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


class Conversation:
    """Requests and replies about one piece of work.

    is_done: it has had its last reply, so that nothing is left to cancel.
    """

    def __init__(self, process: InferenceProcess, number: int) -> None:
        self.id = number
        self.inbox: asyncio.Queue[Reply] = asyncio.Queue()
        self.is_done = False
        self._process = process

    def send(self, request: Request) -> None:
        """Send a request, which must have the conversation's id."""
        self._process.send(request)

    async def receive(self) -> Reply:
        """Return the next reply; raises ServeError for a failure."""
        reply = await self.inbox.get()
        if isinstance(reply, Failed):
            self.is_done = True
            if reply.kind == "Died":
                raise UnavailableError(reply.message)
            raise from_runtime(reply.kind, reply.message)
        return reply
