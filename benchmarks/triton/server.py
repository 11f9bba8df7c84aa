"""Start `tritonserver` of the wheel nvidia-pytriton, which lies in an environment of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_START_S, _STOP_S = 60, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Triton:
    """The ports of a running server on this machine."""

    http: int
    grpc: int
    metrics: int


@contextmanager
def running(environment: Path, repository: Path, work: Path) -> Iterator[Triton]:
    """Serve a model repository, and stop at the end.

    environment: with nvidia-pytriton, and what the models import. work: an empty folder, for the backends and
    the log. Raises RuntimeError with the log if the server does not become ready.
    """
    [packages] = environment.glob("lib/python3.*/site-packages")
    home, log = packages / "pytriton/tritonserver", work / "triton.log"
    with ExitStack() as stack:
        http, grpc, metrics = _free_ports(3)
        ports = Triton(http=http, grpc=grpc, metrics=metrics)
        command = [
            str(home / "bin/tritonserver"),
            f"--model-repository={repository}",
            f"--backend-directory={_backends(home, packages.parent.name, work)}",
            "--http-address=127.0.0.1",
            f"--http-port={http}",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={grpc}",
            f"--metrics-port={metrics}",
        ]
        variables = {
            "PATH": f"{environment.absolute() / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs"),
        }
        output = stack.enter_context(log.open("wb"))
        process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | variables)
        stack.callback(_stop, process)
        _wait(process, f"http://127.0.0.1:{http}/v2/health/ready", log)
        yield ports


def _backends(home: Path, python: str, work: Path) -> Path:
    """Write a folder of backends: the wheel's, and ours for onnxruntime; python: `python3.11`."""
    folder = Path(shutil.copytree(home / "backends", work / "backends"))
    stub = home / "python_backend_stubs" / python.removeprefix("python") / "triton_python_backend_stub"
    shutil.copy(stub, folder / "python")
    (folder / "onnxruntime").mkdir()
    shutil.copyfile(Path(__file__).with_name("backend.py"), folder / "onnxruntime/model.py")
    return folder


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):  # noqa: S310 - on this machine
            return
        time.sleep(0.1)
    raise RuntimeError(f"Triton did not become ready: {log.read_text(errors='replace')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
