"""Which providers run a bundle on this machine, and why the others do not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.errors import ProviderError, SewdError
from sewd_runtime.inference.auto import AUTO, open_fastest, recall_timings
from sewd_runtime.inference.golden import compare_golden
from sewd_runtime.inference.providers import PROVIDERS, Provider, find_provider
from sewd_runtime.inference.timings import Timing
from sewd_runtime.inference.variants import default_precision, find_variant
from sewd_runtime.system.machine import cpu_features, describe_machine, describe_versions
from sewd_runtime.system.packages import explain_install, find_conflicts, find_packages

_FAST_INSTRUCTIONS = (
    *("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8"),
    *("asimddp", "asimdhp", "i8mm", "bf16", "sve", "sme"),
)
"""Instruction sets that make models fast, by their names in Linux: x86-64's, then Arm's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCheck:
    """A provider, tried on the golden utterance.

    present: its library is installed and has its device. usable: it was within the tolerance. precision: its
    default. detail: the error it measured, or why it does not run and what to do.
    """

    provider: str
    present: bool
    usable: bool
    precision: str | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What ``auto`` chooses for a precision, which may itself be "auto".

    candidates: the variants to choose from; timings: fastest first, empty if not measured yet.
    """

    precision: str
    candidates: tuple[str, ...]
    timings: tuple[Timing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The whole report; ``damage``: the remedy if packages overwrite each other's files, "" otherwise."""

    machine: Mapping[str, Any]
    instructions: tuple[str, ...]
    versions: Mapping[str, str]
    devices: Mapping[str, tuple[str, ...]]
    damage: str
    model: str
    precisions: tuple[str, ...]
    providers: tuple[ProviderCheck, ...]
    choices: tuple[Choice, ...]

    @property
    def healthy(self) -> bool:
        """Whether a provider runs the model, and none that is installed fails to."""
        runs = any(check.usable for check in self.providers)
        fails = any(check.present and not check.usable for check in self.providers)
        return runs and not fails and not self.damage


def diagnose(bundle: Bundle, *, threads: int | None = None, measure: bool = False) -> Diagnosis:
    """Try every provider on the bundle's golden utterance.

    measure: measure what ``auto`` has not measured here yet; otherwise only cached timings are reported.
    Raises BundleError if the bundle is damaged.
    """
    conflicts = find_conflicts()
    precisions = default_precision(bundle.manifest), AUTO
    features = set(cpu_features().split())
    return Diagnosis(
        machine=describe_machine(),
        instructions=tuple(name for name in _FAST_INSTRUCTIONS if name in features),
        versions={**describe_versions(), **find_packages()},
        devices=_devices(),
        damage=explain_install(f"{max(conflicts)}", package=max(conflicts)) if len(conflicts) > 1 else "",
        model=bundle.manifest.name,
        precisions=tuple(bundle.manifest.precisions),
        providers=tuple(_check(bundle, name, row, threads) for name, row in PROVIDERS.items()),
        choices=tuple(_choose(bundle, precision, threads, measure) for precision in precisions),
    )


def _devices() -> dict[str, tuple[str, ...]]:
    """Return library → its devices here, for the libraries that can be imported."""
    devices = {}
    for backend in {row.backend.NAME: row.backend for row in PROVIDERS.values()}.values():
        try:
            devices[backend.NAME] = tuple(backend.devices())
        except (ImportError, AttributeError, ProviderError):  # noqa: PERF203 - ask the others
            continue
    return devices


def _check(bundle: Bundle, name: str, row: Provider, threads: int | None) -> ProviderCheck:
    present = usable = False
    precision = None
    try:
        find_provider(name)
        if row.choose_engine is not None and not bundle.manifest.engines:
            raise ProviderError("the bundle has no TensorRT engine; build one with sewd-export --tensorrt")
        present, precision = True, default_precision(bundle.manifest, name)
        variant = find_variant(bundle.manifest, name, precision)
        result = compare_golden(bundle, variant, variant.open(bundle, threads=threads))
    except SewdError as error:
        detail = str(error)
    else:
        usable, allowed = result.passed, variant.tolerance.max_abs_at(result.peak)
        detail = f"golden utterance off by {result.max_abs:.1e}, allowed {allowed:.1e}"
    return ProviderCheck(provider=name, present=present, usable=usable, precision=precision, detail=detail)


def _choose(bundle: Bundle, precision: str, threads: int | None, measure: bool) -> Choice:
    try:
        candidates, timings = recall_timings(bundle, precision=precision, threads=threads)
        if measure and not timings and len(candidates) > 1:
            open_fastest(bundle, precision=precision, threads=threads)
            candidates, timings = recall_timings(bundle, precision=precision, threads=threads)
    except SewdError:  # nothing runs, as the provider checks say
        candidates, timings = [], []
    return Choice(precision=precision, candidates=tuple(candidates), timings=tuple(timings))
