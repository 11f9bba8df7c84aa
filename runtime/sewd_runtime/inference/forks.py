"""Models in forked processes, e.g. workers of ``gunicorn --preload``.

A forked child has the inference library's memory, but none of its threads: running such a model, or freeing
it, may wait for them for ever. So a child never frees what its parent loaded, and opens the file again.
"""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from threading import BoundedSemaphore, Lock
from weakref import WeakSet

from sewd_runtime.errors import InferenceError
from sewd_runtime.inference.backends import CompiledModel
from sewd_runtime.system.machine import available_cores


class ForkableModel:
    """A model that is opened again in each forked process that runs it.

    slots: held while it runs, by as many threads at once as there are cores: more would need more memory and
    be no faster. reopens: whether the library works in a forked process; if not, the model is refused there.
    """

    def __init__(self, path: Path, open_model: Callable[[], CompiledModel], *, reopens: bool) -> None:
        self._path, self._open, self._reopens = path, open_model, reopens
        self._file = _identity(path)
        self._model: CompiledModel | None = open_model()
        self._lock = Lock()
        self.slots = BoundedSemaphore(available_cores())
        _MODELS.add(self)

    def get(self) -> CompiledModel:
        """Return the model of this process; raises InferenceError if it cannot be opened in a forked one."""
        model = self._model
        return self._reopen() if model is None else model

    def forget(self) -> None:
        """Keep the parent's model in memory without ever freeing it."""
        if self._model is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._model))
        # Other threads of the parent may have held the old ones.
        self._model, self._lock, self.slots = None, Lock(), BoundedSemaphore(available_cores())

    def _reopen(self) -> CompiledModel:
        with self._lock:
            if self._model is None:
                if not self._reopens:
                    raise self._refusal("this provider does not work in forked processes")
                if _identity(self._path) != self._file:
                    raise self._refusal("the file has changed since")
                try:
                    self._model = self._open()
                except Exception as error:  # the libraries' errors share no other base
                    raise self._refusal(str(error)) from error
            return self._model

    def _refusal(self, reason: str) -> InferenceError:
        return InferenceError(
            f"{self._path}: was loaded before this process was forked, and {reason}; "
            f"load it in the process that runs it (gunicorn: in post_fork, or without --preload)"
        )


_MODELS: WeakSet[ForkableModel] = WeakSet()


def _identity(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _forget_all() -> None:
    for model in list(_MODELS):
        model.forget()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no forks
    os.register_at_fork(after_in_child=_forget_all)
