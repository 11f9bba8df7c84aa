"""``auto``: the fastest variant on this machine, measured once; the choice is always logged."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np

import sewd_runtime
from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.errors import InferenceError, ModelError, PrecisionError, ProviderError, SewdError
from sewd_runtime.inference.golden import read_golden, require_golden
from sewd_runtime.inference.network import Network
from sewd_runtime.inference.providers import PROVIDERS, installed_providers
from sewd_runtime.inference.session import Session, pad
from sewd_runtime.inference.timings import Timing, TimingsFile
from sewd_runtime.inference.variants import Variant, default_precision, find_variant, find_variants
from sewd_runtime.system.machine import available_cores, cpu_features, cpu_name

AUTO = "auto"

_CLIPS_S = (2, 10)
_SHARE_S = 5
"""A timing is for ten seconds of audio; each clip length stands for this many of them."""

_ROUNDS = 5
_ENOUGH_ROUNDS = 2
_ENOUGH_S = 10.0

_UNUSABLE = (ProviderError, PrecisionError, ModelError, InferenceError)
"""Errors that rule out one variant; a damaged bundle is an error for all of them."""

_log = logging.getLogger("sewd")


def open_fastest(
    bundle: Bundle, *, provider: str = AUTO, precision: str | None = None, threads: int | None = None
) -> Network:
    """Load the fastest of the variants that ``auto`` may choose, and log the choice and the timings.

    provider ``auto``: any that is installed. precision ``auto``: any that the provider runs, None: the
    default. Each must reproduce the golden utterance within its tolerance.
    Raises ProviderError or PrecisionError if none can be used, BundleError.
    """
    candidates = _find_candidates(bundle, provider, precision)
    if len(candidates) == 1:
        [variant] = candidates.values()
        network = _open(bundle, variant, threads)
        _log.info("auto: %s, the only choice", variant)
        return network
    file = TimingsFile.of(_facts(bundle, candidates, threads))
    if file and (timings := file.read()) and timings[0].variant in candidates:
        fastest = timings[0].variant
        try:
            network = _open(bundle, candidates[fastest], threads)
        except _UNUSABLE as error:
            _log.warning("auto: %s was the fastest, but now it fails: %s", fastest, error)
        else:
            _log.info("auto: %s; measured before, cached in %s", _compare(timings), file.path)
            return network
    _log.info("auto: measuring %s", ", ".join(candidates))
    sessions = _open_all(bundle, candidates, threads)
    timings = _measure(bundle, sessions)
    cached = f"cached in {file.path}" if file and file.write(timings) else "not cached, no folder to write to"
    _log.info("auto: %s; %s", _compare(timings), cached)
    fastest = timings[0].variant
    return Network(bundle=bundle, precision=candidates[fastest].precision, session=sessions[fastest])


def recall_timings(
    bundle: Bundle, *, precision: str | None = None, threads: int | None = None
) -> tuple[list[str], list[Timing]]:
    """Return the variants that ``auto`` may choose, and their cached timings, fastest first.

    There are no timings if nothing was measured, or if there is only one variant. Raises as ``open_fastest``.
    """
    candidates = _find_candidates(bundle, AUTO, precision)
    file = TimingsFile.of(_facts(bundle, candidates, threads))
    timings = file.read() if file and len(candidates) > 1 else []
    return list(candidates), [timing for timing in timings if timing.variant in candidates]


def _find_candidates(bundle: Bundle, provider: str, precision: str | None) -> dict[str, Variant]:
    manifest = bundle.manifest
    if precision is None:
        precision = default_precision(manifest)
    providers = installed_providers() if provider == AUTO else [provider]
    candidates = {
        str(variant): variant
        for name in providers
        for variant in find_variants(manifest, name).values()
        if precision in (AUTO, variant.precision)
    }
    if not candidates:
        if not providers:
            raise ProviderError(f"no provider is installed: {PROVIDERS['cpu'].remedy}")
        find_variant(manifest, providers[0], precision)  # raises the error that lists what there is
    return candidates


def _facts(bundle: Bundle, candidates: Mapping[str, Variant], threads: int | None) -> dict[str, Any]:
    backends = {PROVIDERS[variant.provider].backend for variant in candidates.values()}
    files = {variant.entry.file for variant in candidates.values()}
    return {
        "sewd": sewd_runtime.__version__,
        "processor": cpu_name(),
        "features": hashlib.sha256(cpu_features().encode()).hexdigest()[:16],
        "cores": available_cores(),
        "threads": threads,
        "libraries": {backend.NAME: backend.installed_version() for backend in backends},
        "models": {name: bundle.manifest.files[name].sha256 for name in sorted(files)},
        "candidates": sorted(candidates),
    }


def _open(bundle: Bundle, variant: Variant, threads: int | None) -> Network:
    return Network.open(bundle, precision=variant.precision, provider=variant.provider, threads=threads)


def _open_all(bundle: Bundle, candidates: Mapping[str, Variant], threads: int | None) -> dict[str, Session]:
    """Open every candidate that reproduces the golden utterance; log the others."""
    sessions: dict[str, Session] = {}
    failures: list[SewdError] = []
    for name, variant in candidates.items():
        try:
            session = variant.open(bundle, threads=threads)
            require_golden(bundle, variant, session)
        except _UNUSABLE as error:  # noqa: PERF203 - try the others
            failures.append(error)
            _log.warning("auto: skipped %s: %s", name, error)
        else:
            sessions[name] = session
    if not sessions:
        raise failures[0]
    return sessions


def _measure(bundle: Bundle, sessions: Mapping[str, Session]) -> list[Timing]:
    """Time all sessions on the same clips in turns; the best round counts. Returns fastest first."""
    samples, _ = read_golden(bundle)
    rate_hz = bundle.manifest.sample_rate_hz
    clips = {clip_s: pad([np.resize(samples, clip_s * rate_hz)]) for clip_s in _CLIPS_S}
    best_s = {(name, clip_s): float("inf") for name in sessions for clip_s in clips}
    started_s = perf_counter()
    for done in range(_ROUNDS):
        if done >= _ENOUGH_ROUNDS and perf_counter() - started_s > _ENOUGH_S:
            break
        for (name, clip_s), before_s in best_s.items():
            begun_s = perf_counter()
            sessions[name].run(*clips[clip_s])
            best_s[name, clip_s] = min(before_s, perf_counter() - begun_s)
    timings = [
        Timing(
            variant=name,
            milliseconds=sum(1000 * best_s[name, clip_s] * _SHARE_S / clip_s for clip_s in clips),
        )
        for name in sessions
    ]
    return sorted(timings, key=lambda timing: timing.milliseconds)


def _compare(timings: Sequence[Timing]) -> str:
    """Return the fastest, with the others in brackets."""
    fastest, *others = timings
    rest = ", ".join(f"{timing.variant} {timing.milliseconds:.0f} ms" for timing in others)
    return f"{fastest.variant}, {fastest.milliseconds:.0f} ms for 10 s ({rest or 'no other variant works'})"
