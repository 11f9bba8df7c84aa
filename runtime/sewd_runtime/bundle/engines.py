"""TensorRT engines in the manifest (docs/bundle.md is normative)."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

from sewd_runtime.bundle.schema import Positive, Rule, one_of, to_plain

if TYPE_CHECKING:
    from sewd_runtime.bundle.manifest import Manifest

BUILDERS = ("tensorrt", "tensorrt-rtx")

_Capability: TypeAlias = Annotated[
    str,
    Rule(must="a compute capability like 8.9", holds=lambda value: bool(re.fullmatch(r"\d+\.\d", value))),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchShape:
    """A batch of recordings that are padded to the same number of samples."""

    batch: Positive
    samples: Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The shapes that an engine takes: the smallest, the one it is optimised for, the largest."""

    min: BatchShape
    opt: BatchShape
    max: BatchShape

    @property
    def is_ordered(self) -> bool:
        """Whether batch and samples never shrink from the smallest shape to the largest."""
        shapes = (self.min, self.opt, self.max)
        sides = ([shape.batch for shape in shapes], [shape.samples for shape in shapes])
        return all(side == sorted(side) for side in sides)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEntry:
    """One engine of the bundle.

    precision: of the model it was built from. compute_capability: of the GPUs that run it, e.g. `8.9`.
    key: as `engine_key` makes it.
    """

    file: str
    precision: str
    builder: Annotated[str, one_of(BUILDERS)]
    version: str
    compute_capability: _Capability
    profiles: tuple[Profile, ...]
    key: str

    @property
    def name(self) -> str:
        """Its name in the manifest."""
        return engine_name(self.precision, self.builder, self.compute_capability)


def engine_name(precision: str, builder: str, compute_capability: str) -> str:
    """Return the name of an engine in the manifest: `fp16.tensorrt-rtx.sm89`."""
    return f"{precision}.{builder}.sm{compute_capability.replace('.', '')}"


def engine_file(name: str) -> str:
    """Return the name of an engine's file."""
    return f"model.{name}.engine"


def engine_key(
    model_sha256: str, *, builder: str, version: str, compute_capability: str, profiles: tuple[Profile, ...]
) -> str:
    """Return the sha256 of everything that an engine is built from, as JSON with sorted keys."""
    facts = {
        "model": model_sha256,
        "builder": builder,
        "version": version,
        "compute_capability": compute_capability,
        "profiles": to_plain(profiles),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def check_engines(manifest: "Manifest", demand: Callable[[bool, str], None]) -> None:
    """Check that each engine has the name and the file that its fields say, and of a model in the bundle."""
    for name, entry in manifest.engines.items():
        path = f"engines.{name}"
        demand(name == entry.name, f"{path} must be {entry.name}, as its fields say")
        demand(entry.file == engine_file(name), f"{path}.file must be {engine_file(name)}")
        demand(entry.precision in manifest.precisions, f"{path}.precision must be one of precisions")
        demand(bool(entry.profiles), f"{path}.profiles must have at least one entry")
        ordered = all(profile.is_ordered for profile in entry.profiles)
        demand(ordered, f"{path}.profiles must go from the smallest to the largest")
        file = manifest.precisions[entry.precision].file
        if file in manifest.files:  # if not, that is an error of its own
            key = engine_key(
                manifest.files[file].sha256,
                builder=entry.builder,
                version=entry.version,
                compute_capability=entry.compute_capability,
                profiles=entry.profiles,
            )
            demand(entry.key == key, f"{path}.key is not that of {file}; export it again")
