"""What opens a model file: one module for each inference library, all of them alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from sewd_runtime.bundle.engines import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An input or an output of a model, as its file declares it.

    dtype: as numpy names it; shape: None where an axis is free.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a model is to run.

    device: the library's own name for it; settings: the library's own, from the provider's row.
    compute: the type of the float operations, f32 or bf16; weights: f32 as in the file, or i8 for products
    with 8-bit weights and activations. threads: for one run, None leaves it to the library.
    cpu_share: of a model's nodes, how many another device may leave to the processor; 1: all of them.
    precision: its name in the bundle; profiles: the shapes that it is to take, where a library asks for them.
    """

    device: str
    settings: Mapping[str, str] = field(default_factory=dict)
    compute: str = "f32"
    weights: str = "f32"
    threads: int | None = None
    cpu_share: float = 1.0
    precision: str = "fp32"
    profiles: tuple[Profile, ...] = ()


class Model(Protocol):
    """A model that a library has loaded; ``run`` may be called from several threads at once."""

    @property
    def inputs(self) -> Sequence[Tensor]:
        """What it takes."""

    @property
    def outputs(self) -> Sequence[Tensor]:
        """What it gives."""

    def run(self, names: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """Return the named outputs for a batch, as arrays that nothing else holds."""


class Backend(Protocol):
    """An inference library. The module of this shape imports the library only inside its functions."""

    NAME: str

    def installed_version(self) -> str | None:
        """Return the version that is installed, None if there is none, without importing it."""

    def devices(self) -> Sequence[str]:
        """Return the library's names of what it can run on here; raises ImportError."""

    def open_model(self, path: Path, options: Options) -> Model:
        """Load a model file; raises ProviderError, PrecisionError, or whatever the library raises."""
