"""The interface of an inference library: it opens model files and runs batches.

A folder for each library; what has the shape of ``Backend`` in it is a module, `backend.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from sewd_runtime.bundle.engines import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An input or an output of a model, as its file declares it.

    dtype: numpy's name of it; shape: None where an axis is free.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a model is to run.

    device: the library's name of it; settings: the library's own options.
    compute: type of the float operations, f32 or bf16; weights: f32 as in the file, or i8 for int8 matmuls.
    threads: for one run; None leaves it to the library, which takes one for each core.
    cpu_share: the share of nodes that the device may leave to the CPU, matmuls excluded; 1 allows it all.
    precision: its name in the bundle; profiles: the input shapes, for libraries that compile for shapes.
    """

    device: str
    settings: Mapping[str, str] = field(default_factory=dict)
    compute: str = "f32"
    weights: str = "f32"
    threads: int | None = None
    cpu_share: float = 1.0
    precision: str = "fp32"
    profiles: tuple[Profile, ...] = ()


class CompiledModel(Protocol):
    """A model that a library has loaded; ``run`` may be called from several threads at once."""

    @property
    def inputs(self) -> Sequence[Tensor]:
        """Its inputs."""

    @property
    def outputs(self) -> Sequence[Tensor]:
        """Its outputs."""

    def run(self, names: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """Return the named outputs of one batch, as arrays that share no memory with the library."""


class Backend(Protocol):
    """An inference library: a module that imports the library only inside its functions."""

    NAME: str

    def installed_version(self) -> str | None:
        """Return the installed version, None if there is none, without importing the library."""

    def devices(self) -> Sequence[str]:
        """Return the library's names of the devices it can use here; raises ImportError."""

    def open_model(self, path: Path, options: Options) -> CompiledModel:
        """Load a model file; raises ProviderError, PrecisionError, or whatever the library raises."""
