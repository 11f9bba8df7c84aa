"""What this machine can run of a bundle, and why it cannot run the rest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.bundle.manifest import Manifest
from sewd_runtime.errors import ProviderError, SewdError
from sewd_runtime.inference.auto import AUTO, open_fastest, recall_timings
from sewd_runtime.inference.golden import compare_golden
from sewd_runtime.inference.providers import PROVIDERS, Provider, find_provider
from sewd_runtime.inference.timings import Timing
from sewd_runtime.inference.variants import default_precision, find_variant
from sewd_runtime.system.machine import cpu_features, describe_machine, describe_versions
from sewd_runtime.system.packages import explain_install, find_conflicts, find_packages

_TELLING = (
    *("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8"),
    *("asimddp", "asimdhp", "i8mm", "bf16", "sve", "sme"),
)
"""Instruction sets that make models fast, as Linux calls them: x86-64's, then Arm's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What came of a provider.

    present: its library is installed and has its device; usable: it ran the golden utterance within the
    tolerance. precision: the one that it takes where none is named. detail: how far it was off, or the reason
    and the remedy.
    """

    provider: str
    present: bool
    usable: bool
    precision: str | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What ``auto`` takes for a precision, "auto" among them.

    timings: fastest first, none where nothing was measured yet; candidates: what it is chosen from.
    """

    precision: str
    candidates: tuple[str, ...]
    timings: tuple[Timing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All of it; ``damage`` is what two packages in one folder did, "" where there is one."""

    machine: Mapping[str, Any]
    instructions: tuple[str, ...]
    versions: Mapping[str, str]
    devices: Mapping[str, tuple[str, ...]]
    damage: str
    model: str
    precisions: tuple[str, ...]
    providers: tuple[Finding, ...]
    choices: tuple[Choice, ...]

    @property
    def healthy(self) -> bool:
        """Whether something runs the model, and nothing that is installed fails to."""
        runs = any(finding.usable for finding in self.providers)
        fails = any(finding.present and not finding.usable for finding in self.providers)
        return runs and not fails and not self.damage


def diagnose(bundle: Bundle, *, threads: int | None = None, measure: bool = False) -> Diagnosis:
    """Try every provider on the bundle's golden utterance.

    measure: what ``auto`` has not measured yet; otherwise only what is kept of earlier measurements is told.
    Raises BundleError where the bundle is to blame.
    """
    conflicts = find_conflicts()
    features = set(cpu_features().split())
    return Diagnosis(
        machine=describe_machine(),
        instructions=tuple(name for name in _TELLING if name in features),
        versions={**describe_versions(), **find_packages()},
        devices=_devices(),
        damage=explain_install(f"{max(conflicts)}", package=max(conflicts)) if len(conflicts) > 1 else "",
        model=bundle.manifest.name,
        precisions=tuple(bundle.manifest.precisions),
        providers=tuple(_try(bundle, name, row, threads) for name, row in PROVIDERS.items()),
        choices=tuple(_choose(bundle, name, threads, measure) for name in _open_precisions(bundle.manifest)),
    )


def _devices() -> dict[str, tuple[str, ...]]:
    """Return library → the devices that it has here; nothing of a library that cannot be imported."""
    found = {}
    for backend in {row.backend.NAME: row.backend for row in PROVIDERS.values()}.values():
        try:
            found[backend.NAME] = tuple(backend.devices())
        except (ImportError, AttributeError, ProviderError):  # noqa: PERF203 - the others are to be asked
            continue
    return found


def _try(bundle: Bundle, name: str, row: Provider, threads: int | None) -> Finding:
    precision = default_precision(bundle.manifest, name)
    try:
        find_provider(name)
    except SewdError as error:
        return Finding(provider=name, present=False, usable=False, precision=None, detail=str(error))
    if row.choose_engine and not bundle.manifest.engines:
        said = "the bundle has no engine: sewd-export --tensorrt builds them"
        return Finding(provider=name, present=False, usable=False, precision=None, detail=said)
    try:
        variant = find_variant(bundle.manifest, name, precision)
        result = compare_golden(bundle, variant, variant.open(bundle, threads=threads))
    except SewdError as error:
        return Finding(provider=name, present=True, usable=False, precision=precision, detail=str(error))
    allowed = variant.tolerance.max_abs_at(result.peak)
    said = f"golden utterance off by {result.max_abs:.1e}, allowed {allowed:.1e}"
    return Finding(provider=name, present=True, usable=result.passed, precision=precision, detail=said)


def _open_precisions(manifest: Manifest) -> tuple[str, str]:
    return default_precision(manifest), AUTO


def _choose(bundle: Bundle, precision: str, threads: int | None, measure: bool) -> Choice:
    try:
        candidates, timings = recall_timings(bundle, precision=precision, threads=threads)
        if measure and not timings and len(candidates) > 1:
            open_fastest(bundle, precision=precision, threads=threads)
            candidates, timings = recall_timings(bundle, precision=precision, threads=threads)
    except SewdError:  # nothing runs, which the findings tell
        candidates, timings = [], []
    return Choice(precision=precision, candidates=tuple(candidates), timings=tuple(timings))
