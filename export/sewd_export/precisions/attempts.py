"""The precisions of one export: which are good so far, and why the others failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sewd_export.errors import ExportError
from sewd_export.precisions import REFERENCE
from sewd_runtime.errors import SewdError
from sewd_runtime.system.terminal import printable


class Attempts:
    """Precisions that are made and compared one by one: a failure of one leaves the others alone.

    good: those that have not failed, in order. failed: name → why, on one line.
    strict: raise the first failure instead. A failure of float32 is always raised: the others come from it.
    """

    def __init__(self, names: Sequence[str], *, strict: bool = False) -> None:
        self.good = tuple(names)
        self.failed: dict[str, str] = {}
        self._strict = strict

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Note a SewdError of the block as the failure of this precision."""
        try:
            yield
        except SewdError as error:
            if self._strict or name == REFERENCE:
                raise
            self.good = tuple(other for other in self.good if other != name)
            self.failed[name] = printable(" ".join(str(error).split()))

    def require_some(self) -> None:
        """Raise ExportError if none is good, with why each of them failed."""
        if not self.good:
            raise ExportError("; ".join(self.failed.values()))
