"""What every kind of model shares: how it is loaded."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from sewd_runtime._types import AudioSource
from sewd_runtime.bundle.folder import DIGITS, Bundle, find_bundle
from sewd_runtime.bundle.manifest import TASKS, Manifest
from sewd_runtime.bundle.schema import build, parse_json
from sewd_runtime.errors import AudioValueError, BundleError, TaskError, VocabularyError
from sewd_runtime.inference.network import Network
from sewd_runtime.inference.opening import open_network

Kind = TypeVar("Kind", bound="Model")

CLASS_OF: Mapping[str, str] = MappingProxyType(
    {"ctc": "Recognizer", "classification": "Classifier", "encoding": "Encoder"}
)
"""Task of a bundle → name of the class that loads it."""


class Model(ABC):
    """A Recognizer, a Classifier or an Encoder: a network, and what its task adds.

    task: the task of the bundles that the class loads. embedded: the embedded model that it loads by default.
    """

    __slots__ = ()
    task: ClassVar[str]
    embedded: ClassVar[str] = DIGITS
    network: Network

    @classmethod
    def load(
        cls: type[Kind],
        path: str | os.PathLike[str] | None = None,
        *,
        precision: str | None = None,
        provider: str = "cpu",
        threads: int | None = None,
        workers: int = 1,
        allow_fallback: bool = False,
        provider_options: Mapping[str, str] | None = None,
    ) -> Kind:
        """Load a bundle of this class's task; the arguments and errors are those of ``sewd_runtime.load``.

        Raises TaskError for a bundle of another task, before its model is loaded.
        """
        bundle = find_bundle(path, cls.embedded)
        task = bundle.manifest.task
        if task != cls.task:
            raise TaskError(
                f"{bundle.path}: its task is {task}, {cls.__name__} needs {cls.task}; "
                f"use sewd {TASKS[task].command}, or {CLASS_OF[task]}.load"
            )
        network = open_network(
            bundle,
            precision=precision,
            provider=provider,
            threads=threads,
            workers=workers,
            allow_fallback=allow_fallback,
            provider_options=provider_options,
        )
        return cls.from_network(network)

    @classmethod
    @abstractmethod
    def from_network(cls: type[Kind], network: Network) -> Kind:
        """Add what the task needs from the bundle. Raises VocabularyError."""

    def __repr__(self) -> str:
        network = self.network
        return (
            f"<{type(self).__name__} {self.manifest.name}: {network.precision} on {network.session.provider}>"
        )

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self.network.manifest


def as_batch(audios: Sequence[AudioSource]) -> Sequence[AudioSource]:
    """Return the recordings of a batch. Raises AudioValueError for a single one."""
    if isinstance(audios, (str, bytes, os.PathLike)):
        raise AudioValueError("a batch is a list of recordings, and this is one; put it into a list")
    return audios


def read_json(bundle: Bundle, name: str, kind: Any) -> Any:
    """Read a JSON file of a bundle as values of type ``kind``. Raises VocabularyError."""
    text, where = bundle.read_text(name), str(bundle.path / name)
    try:
        return build(kind, parse_json(text, where=where), where=where)
    except BundleError as error:
        raise VocabularyError(str(error)) from error
