"""What a bundle can be run as: the precisions of its files, and those derived from them when they run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sewd_runtime.bundle.engines import BatchShape, EngineEntry, Profile
from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.bundle.manifest import Manifest, Parity, PrecisionEntry, Tolerance
from sewd_runtime.errors import ModelError, PrecisionError
from sewd_runtime.inference.backends.tensorrt.backend import choose_engine_here
from sewd_runtime.inference.providers import PROVIDERS, look_up
from sewd_runtime.inference.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run a bundle: a precision on a provider.

    entry: of the file it reads; compute: the type of the float operations, f32 or narrower.
    weights: f32 as in the file, or i8, rounded when it is loaded.
    parity: what the exporter measured; None where it is not the file that runs, or not in its types.
    engines: of which one is run in place of the file.
    """

    provider: str
    precision: str
    entry: PrecisionEntry
    compute: str
    weights: str = "f32"
    tolerance: Tolerance
    parity: Parity | None
    engines: tuple[EngineEntry, ...] = ()

    def __str__(self) -> str:
        """Return both names, e.g. ``openvino bf16``."""
        return f"{self.provider} {self.precision}"

    def open(
        self,
        bundle: Bundle,
        *,
        threads: int | None = None,
        allow_fallback: bool = False,
        provider_options: Mapping[str, str] | None = None,
    ) -> Session:
        """Check the model's hash and load it; raises BundleError, ProviderError, PrecisionError."""
        engine = choose_engine_here(self.engines) if self.engines else None
        path = bundle.path_of(self.entry.file if engine is None else engine.file)
        session = Session.open(
            path,
            task=bundle.manifest.task,
            provider=self.provider,
            compute=self.compute,
            weights=self.weights,
            threads=threads,
            allow_fallback=allow_fallback,
            provider_options=provider_options or {},
            precision=self.precision,
            profiles=(whole_profile(bundle.manifest),) if engine is None else engine.profiles,
        )
        if session.num_outputs not in (None, bundle.manifest.num_outputs):
            raise ModelError(
                f"{path}: has {session.num_outputs} outputs, the manifest says {bundle.manifest.num_outputs}"
            )
        return session


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A precision without a file of its own: another's, computed in narrower types.

    added: how far that may lead from the original, beyond what the file's own tolerance allows.
    """

    of: str
    compute: str = "f32"
    weights: str = "f32"
    added: Tolerance


_BF16 = Tolerance(max_abs=2.0, relative=5e-2, batch_error=5e-2)
"""8 bits of mantissa. Measured: 0.2 % of a trained model's output, 1 to 2 % of a random one's; where a sound
ends a frame earlier or later, that frame's logits differ by up to 1.6 of 43."""

_INT8 = Tolerance(max_abs=10.0, relative=1e-1, batch_error=5e-2)
"""8 bits of weights and activations. Measured: 0.25 % of a trained model's output, 5 % of a random one's."""

DERIVED: Mapping[str, Derived] = {
    "bf16": Derived(of="fp32", compute="bf16", added=_BF16),
    "int8-dynamic": Derived(of="fp32", weights="i8", added=_INT8),
    "int8-dynamic+bf16": Derived(of="fp32", compute="bf16", weights="i8", added=_INT8),
    "int8-static+bf16": Derived(of="int8-static", compute="bf16", added=_BF16),
}


def find_variants(manifest: Manifest, provider: str) -> dict[str, Variant]:
    """Return what a provider runs of a bundle, by precision; a file goes before what is derived.

    Raises ProviderError for an unknown provider.
    """
    row = look_up(provider)
    runs = row.precisions
    engines = (
        {name: tuple(_engines_of(manifest, name)) for name in manifest.precisions} if row.engines else {}
    )
    variants = {
        name: Variant(
            provider=provider,
            precision=name,
            entry=entry,
            compute="f32",
            tolerance=entry.tolerance,
            parity=entry.parity if row.is_proven else None,
            engines=engines.get(name, ()),
        )
        for name, entry in manifest.precisions.items()
        if (runs is None or name in runs) and (engines.get(name) or not row.engines)
    }
    derived = {
        name: Variant(
            provider=provider,
            precision=name,
            entry=variants[row.of].entry,
            compute=row.compute,
            weights=row.weights,
            tolerance=_sum(variants[row.of].tolerance, row.added),
            parity=None,
        )
        for name, row in DERIVED.items()
        if runs is not None and name in runs and row.of in variants
    }
    return variants | {name: variant for name, variant in derived.items() if name not in variants}


def find_variant(manifest: Manifest, provider: str, precision: str) -> Variant:
    """Return one of ``find_variants``; raises PrecisionError that says what there is instead."""
    variants = find_variants(manifest, provider)
    if precision in variants:
        return variants[precision]
    elsewhere = [name for name in PROVIDERS if precision in find_variants(manifest, name)]
    hint = f" (provider {' or '.join(elsewhere)} has it)" if elsewhere else ""
    raise PrecisionError(
        f"{manifest.name}: provider {provider} has no precision {precision!r}{hint}; "
        f"it has {', '.join(variants) or 'none'}"
    )


def default_precision(manifest: Manifest, provider: str = "cpu") -> str:
    """Return the first of the provider's preferred precisions that the bundle has, else the first by name.

    Raises ProviderError for an unknown provider.
    """
    preferred = look_up(provider).preferred
    return next((name for name in preferred if name in manifest.precisions), min(manifest.precisions))


def _engines_of(manifest: Manifest, precision: str) -> Iterator[EngineEntry]:
    return (engine for engine in manifest.engines.values() if engine.precision == precision)


def whole_profile(manifest: Manifest) -> Profile:
    """Return one range of shapes for all that is run: up to eight recordings of up to 60 s."""
    rate_hz = manifest.sample_rate_hz
    return Profile(
        min=BatchShape(batch=1, samples=manifest.min_samples),
        opt=BatchShape(batch=1, samples=max(manifest.min_samples, 10 * rate_hz)),
        max=BatchShape(batch=8, samples=max(manifest.min_samples, 60 * rate_hz)),
    )


def _sum(one: Tolerance, other: Tolerance) -> Tolerance:
    return Tolerance(
        max_abs=one.max_abs + other.max_abs,
        relative=one.relative + other.relative,
        batch_error=one.batch_error + other.batch_error,
    )
