"""Build TensorRT engines ahead of time from a bundle's models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sewd_export.errors import EngineBuildError
from sewd_export.precisions import PRECISIONS, REFERENCE
from sewd_export.progress import Progress, no_progress
from sewd_export.tensorrt.builder import Library, build, capability_here, find_library
from sewd_export.tensorrt.cache import read_engine, write_engine
from sewd_export.tensorrt.profiles import PROFILES, ProfileOptions
from sewd_runtime.bundle.engines import EngineEntry, Profile, engine_file, engine_key, engine_name
from sewd_runtime.bundle.manifest import model_file
from sewd_runtime.system.hashing import sha256_of

__all__ = ["PROFILES", "BuiltEngine", "EngineOptions", "ProfileOptions", "build_engines", "check_engines"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Which engines to build.

    profiles: the shapes that each engine takes.
    compute_capabilities: of the target GPUs, e.g. `("8.9", "12.0")`; empty is the GPU of this machine.
    """

    profiles: Sequence[ProfileOptions] = PROFILES
    compute_capabilities: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltEngine:
    """An engine in a bundle's folder.

    cached: whether it was built before. warnings: the builder's, except those that docs/engines.md explains,
    each after the engine's name.
    """

    entry: EngineEntry
    cached: bool
    warnings: tuple[str, ...] = ()


def check_engines(precisions: Sequence[str], options: EngineOptions) -> tuple[str, ...]:
    """Return the precisions to build engines of: those given that TensorRT supports, fp32 only if alone.

    Raises EngineBuildError if TensorRT supports none of them, MissingPackageError if there is no builder,
    ProviderError if there is no GPU and no compute capability is given.
    """
    asked = [name for name in precisions if name != REFERENCE] or [REFERENCE]
    supported = [name for name, precision in PRECISIONS.items() if precision.is_portable]
    chosen = tuple(name for name in asked if name in supported)
    if not chosen:
        raise EngineBuildError(
            f"TensorRT does not support the operators of {', '.join(asked)}; "
            f"choose from {', '.join(supported)}"
        )
    find_library(is_capability_named=bool(options.compute_capabilities))
    if not options.compute_capabilities:
        capability_here()
    return chosen


def build_engines(
    folder: Path,
    precisions: Sequence[str],
    options: EngineOptions,
    *,
    sample_rate_hz: int,
    min_samples: int,
    progress: Progress = no_progress,
) -> Iterator[BuiltEngine]:
    """Build an engine of each precision for each compute capability, and write it beside the model.

    Raises EngineBuildError, MissingPackageError, ProviderError (as `check_engines`).
    """
    library = find_library(is_capability_named=bool(options.compute_capabilities))
    profiles = tuple(
        profile.to_samples(sample_rate_hz=sample_rate_hz, min_samples=min_samples)
        for profile in options.profiles
    )
    for precision in precisions:
        model = folder / model_file(precision)
        for capability in options.compute_capabilities or (capability_here(),):
            entry = _entry(model, precision, library, capability, profiles)
            yield _build_one(library, model, entry, progress)


def _entry(
    model: Path, precision: str, library: Library, capability: str, profiles: tuple[Profile, ...]
) -> EngineEntry:
    key = engine_key(
        sha256_of(model),
        builder=library.name,
        version=library.version,
        compute_capability=capability,
        profiles=profiles,
    )
    name = engine_name(precision, library.name, capability)
    return EngineEntry(
        file=engine_file(name),
        precision=precision,
        builder=library.name,
        version=library.version,
        compute_capability=capability,
        profiles=profiles,
        key=key,
    )


def _build_one(library: Library, model: Path, entry: EngineEntry, progress: Progress) -> BuiltEngine:
    """Write an engine beside its model, from the cache, or built and then cached."""
    progress(f"engine {entry.name}")
    target = model.with_name(entry.file)
    cached = read_engine(entry.key)
    if cached is not None:
        target.write_bytes(cached)
        return BuiltEngine(entry=entry, cached=True)
    built = build(
        library,
        model,
        compute_capability=entry.compute_capability,
        profiles=entry.profiles,
        progress=lambda phase: progress(f"engine {entry.name}: {phase}"),
    )
    target.write_bytes(built.engine)
    write_engine(entry.key, built.engine)
    warnings = tuple(f"{entry.name}: {warning}" for warning in built.warnings)
    return BuiltEngine(entry=entry, cached=False, warnings=warnings)
