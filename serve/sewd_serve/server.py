"""The server's process: the models first, then uvicorn; signals, and the last answers."""

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from typing import Any, cast

import uvicorn

from sewd_runtime.commands._command import DONE, INTERRUPTED, NO_MODEL, complain
from sewd_runtime.errors import MissingPackageError
from sewd_serve.app import make_app
from sewd_serve.errors import ServeError
from sewd_serve.logs import set_up_logs
from sewd_serve.process import StartError
from sewd_serve.protocol import DeniableWebSocket, LimitedProtocol
from sewd_serve.service import Service
from sewd_serve.settings import Settings

_LOG = logging.getLogger("sewd.serve")


def serve(settings: Settings, *, host: str, port: int, wyoming_port: int | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C, and return the exit code.

    Raises OSError for an address in use, MissingPackageError.
    """
    set_up_logs()
    if wyoming_port is not None and find_spec("wyoming") is None:
        raise MissingPackageError("--wyoming needs the package wyoming: pip install 'sewd[wyoming]'")
    with ExitStack() as stack:
        bound = stack.enter_context(_bind(host, port))
        wyoming = None if wyoming_port is None else stack.enter_context(_bind(host, wyoming_port))
        try:
            _run(_serve(settings, bound, wyoming))
        except StartError as error:
            complain(str(error))
            return NO_MODEL
        except asyncio.CancelledError:
            return INTERRUPTED
    return DONE


def _run(main: Coroutine[Any, Any, None]) -> None:
    """Run the event loop: uvloop's where it is installed (not on Windows)."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address, so that a port in use is noticed before models are loaded."""
    try:
        [family, kind, protocol, _, address], *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen at {host}, port {port}: {error.strerror}") from error
    return bound


class _Server(uvicorn.Server):
    """uvicorn, which says when it listens, and leaves signals to us: it would end the process by them."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        assert sockets is not None
        host, port = sockets[0].getsockname()[:2]
        names = ", ".join(f"{model.name} ({model.precision})" for model in self._service.models)
        _LOG.info("serving %s at http://%s:%d", names, f"[{host}]" if ":" in host else host, port)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let live streams end with all their words; then stop."""
        self._service.stopping.set()
        deadline = time.monotonic() + self._service.limits.drain_s
        while self._service.streams and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)


async def _serve(settings: Settings, bound: socket.socket, wyoming: socket.socket | None) -> None:
    service = Service(settings)
    config = uvicorn.Config(
        make_app(service),
        http=cast(Any, partial(LimitedProtocol, idle_s=settings.limits.idle_s)),
        ws=DeniableWebSocket,
        ws_per_message_deflate=False,
        ws_max_size=16 << 20,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=round(settings.limits.drain_s),
    )
    server = _Server(config, service)
    _stop_on_signals(server, service)
    try:
        await service.start()
        _reload_on_hangup(service)
        async with AsyncExitStack() as stack:
            if wyoming is not None:
                from sewd_serve.wyoming import serve_wyoming  # its package is an extra

                await stack.enter_async_context(serve_wyoming(service, wyoming))
            await server.serve(sockets=[bound])
    finally:
        await service.stop()


def _stop_on_signals(server: uvicorn.Server, service: Service) -> None:
    """End what was begun after SIGTERM or Ctrl-C, and take nothing new; a second one ends at once."""
    loop, main = asyncio.get_running_loop(), asyncio.current_task()
    assert main is not None

    def stop() -> None:
        if service.is_draining or not server.started:
            main.cancel()
        service.is_draining = server.should_exit = True

    with suppress(NotImplementedError):  # Windows, where Ctrl-C cancels the task
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)


def _reload_on_hangup(service: Service) -> None:
    """Open all bundles again on SIGHUP."""
    tasks: set[asyncio.Task[None]] = set()

    async def reload() -> None:
        try:
            await service.process.reload()
            _LOG.info("the models were loaded again")
        except ServeError as error:
            _LOG.error("the models are not replaced: %s", error.message)

    def start() -> None:
        task = asyncio.ensure_future(reload())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    if hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, start)
