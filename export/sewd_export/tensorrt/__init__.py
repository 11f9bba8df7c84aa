"""Engines that TensorRT builds ahead of time from a bundle's models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sewd_export.errors import EngineBuildError
from sewd_export.precisions import PRECISIONS, REFERENCE
from sewd_export.tensorrt.builder import Library, build, capability_here, find_library
from sewd_export.tensorrt.cache import read_engine, write_engine
from sewd_export.tensorrt.profiles import PROFILES, ProfileOptions
from sewd_runtime.bundle.engines import EngineEntry, Profile, engine_file, engine_key, engine_name
from sewd_runtime.bundle.folder import sha256_of

__all__ = ["PROFILES", "BuiltEngine", "EngineOptions", "ProfileOptions", "build_engines", "check_engines"]

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Which engines are built.

    profiles: what shapes each of them takes.
    compute_capabilities: of the GPUs they are for, e.g. `("8.9", "12.0")`; none is the GPU at hand.
    """

    profiles: Sequence[ProfileOptions] = PROFILES
    compute_capabilities: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltEngine:
    """An engine in a bundle's folder.

    cached: it was built before; warnings: what the builder said that docs/engines.md does not explain.
    """

    entry: EngineEntry
    cached: bool
    warnings: tuple[str, ...] = ()


def check_engines(precisions: Sequence[str], options: EngineOptions) -> tuple[str, ...]:
    """Return those of the precisions asked for that engines are built of: fp32 only if it stands alone.

    Raises EngineBuildError where TensorRT takes none of them, MissingPackageError where there is no builder,
    ProviderError where there is no GPU and none is named.
    """
    asked = [name for name in precisions if name != REFERENCE] or [REFERENCE]
    found = tuple(name for name in asked if name in PRECISIONS and PRECISIONS[name].has_engine)
    if not found:
        able = ", ".join(name for name, row in PRECISIONS.items() if row.has_engine)
        raise EngineBuildError(f"TensorRT does not take the operators of {', '.join(asked)}; it takes {able}")
    find_library(is_capability_named=bool(options.compute_capabilities))
    if not options.compute_capabilities:
        capability_here()
    return found


def build_engines(
    folder: Path,
    precisions: Sequence[str],
    options: EngineOptions,
    *,
    sample_rate_hz: int,
    min_samples: int,
    progress: Progress = lambda stage: None,
) -> Iterator[BuiltEngine]:
    """Build an engine of each precision's model for each compute capability, and write it beside the model.

    Raises EngineBuildError, MissingPackageError, ProviderError where there is no GPU and none is named.
    """
    library = find_library(is_capability_named=bool(options.compute_capabilities))
    profiles = tuple(
        profile.to_samples(sample_rate_hz=sample_rate_hz, min_samples=min_samples)
        for profile in options.profiles
    )
    for precision in precisions:
        model = folder / f"model.{precision}.onnx"
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
    """Take an engine from the cache, or build it and put it there; write it beside its model."""
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
    return BuiltEngine(entry=entry, cached=False, warnings=built.warnings)
