"""``python -m sewd_serve.worker``: answers the messages of its standard input on its standard output."""

import os
import signal
import sys
from threading import Lock
from typing import BinaryIO

from sewd_runtime.errors import SewdError
from sewd_serve.logs import set_up_logs
from sewd_serve.worker.messages import Ready, Reply, Setup, encode, read
from sewd_serve.worker.models import Models
from sewd_serve.worker.notes import note_warnings
from sewd_serve.worker.scheduler import Scheduler, failure


class _Output:
    """Standard output as a pipe for messages of any thread; what libraries print goes to standard error."""

    def __init__(self) -> None:
        self._pipe: BinaryIO = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._lock = Lock()

    def send(self, reply: Reply) -> None:
        """Send a message; the process ends when nobody reads."""
        frame = memoryview(encode(reply))
        with self._lock:
            try:
                while frame:
                    frame = frame[self._pipe.write(frame) :]
            except BrokenPipeError:
                os._exit(0)


def main() -> None:
    """Load the models of the first message, and answer the others until the pipe is closed."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they reach the whole group; the server ends us
        signal.signal(number, signal.SIG_IGN)
    output = _Output()
    note_warnings()
    set_up_logs()
    requests = sys.stdin.buffer
    setup: Setup = read(requests)
    try:
        models = Models(setup)
    except (SewdError, OSError) as error:
        output.send(failure(0, error))
        return
    scheduler = Scheduler(models, workers=setup.workers, send=output.send)
    output.send(Ready(id=0, models=models.cards))
    while (request := read(requests)) is not None:
        scheduler.handle(request)
    os._exit(0)  # workers may be in the middle of a run, for which nobody waits


if __name__ == "__main__":
    main()
