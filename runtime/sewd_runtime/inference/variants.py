"""The precisions of a bundle that a provider runs: from their own files, or derived from another's."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sewd_runtime.bundle.engines import BatchShape, EngineEntry, Profile
from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.bundle.manifest import Manifest, Parity, PrecisionEntry, Tolerance
from sewd_runtime.errors import ModelError, PrecisionError
from sewd_runtime.inference.backends import Options
from sewd_runtime.inference.providers import PROVIDERS, look_up
from sewd_runtime.inference.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run a bundle: a precision on a provider.

    entry: of the file it reads. compute: type of the float operations, f32 or narrower.
    weights: f32 as in the file, or i8, quantized at load.
    parity: what the exporter measured; None where that was not of this file in these types.
    engines: the bundle's TensorRT engines of this precision, where the provider runs those.
    """

    provider: str
    precision: str
    entry: PrecisionEntry
    compute: str = "f32"
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
        row, manifest = look_up(self.provider), bundle.manifest
        file, profiles = self.entry.file, default_profiles(manifest)
        if row.choose_engine is not None:
            engine = row.choose_engine(self.engines)
            file, profiles = engine.file, engine.profiles
        options = Options(
            device=row.device,
            settings={**row.settings, **(provider_options or {})},
            compute=self.compute,
            weights=self.weights,
            threads=threads,
            cpu_share=1.0 if allow_fallback else row.cpu_share,
            precision=self.precision,
            profiles=profiles,
        )
        path = bundle.path_of(file)
        session = Session.open(path, task=manifest.task, provider=self.provider, options=options)
        if session.num_outputs not in (None, manifest.num_outputs):
            raise ModelError(
                f"{path}: has {session.num_outputs} outputs, the manifest says {manifest.num_outputs}"
            )
        return session


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A precision without a file of its own: another's file, computed in narrower types.

    added: the error that may come on top of the file's own tolerance.
    """

    of: str
    compute: str = "f32"
    weights: str = "f32"
    added: Tolerance


_BF16 = Tolerance(max_abs=2.0, relative=5e-2, batch_error=5e-2)
"""8 bits of mantissa. Measured: 0.2 % of a trained model's output, 1 to 2 % of a random one's. Where a sound
ends a frame earlier or later, that frame's logits differ by up to 1.6 of 43."""

_INT8 = Tolerance(max_abs=10.0, relative=1e-1, batch_error=5e-2)
"""8-bit weights and activations. Measured: 0.25 % of a trained model's output, 5 % of a random one's."""

DERIVED: Mapping[str, Derived] = {
    "bf16": Derived(of="fp32", compute="bf16", added=_BF16),
    "int8-dynamic": Derived(of="fp32", weights="i8", added=_INT8),
    "int8-dynamic+bf16": Derived(of="fp32", compute="bf16", weights="i8", added=_INT8),
    "int8-static+bf16": Derived(of="int8-static", compute="bf16", added=_BF16),
}


def find_variants(manifest: Manifest, provider: str) -> dict[str, Variant]:
    """Return what a provider runs of a bundle, by precision; a precision's own file wins over a derived one.

    Raises ProviderError for an unknown provider.
    """
    row = look_up(provider)
    variants: dict[str, Variant] = {}
    for name, entry in manifest.precisions.items():
        engines = tuple(engine for engine in manifest.engines.values() if engine.precision == name)
        if row.precisions is not None and name not in row.precisions:
            continue
        if row.choose_engine is not None and not engines:
            continue
        variants[name] = Variant(
            provider=provider,
            precision=name,
            entry=entry,
            tolerance=entry.tolerance,
            parity=entry.parity if row.is_proven else None,
            engines=engines if row.choose_engine is not None else (),
        )
    for name, derived in DERIVED.items():
        if name in (row.precisions or ()) and name not in variants and derived.of in variants:
            base = variants[derived.of]
            variants[name] = replace(
                base,
                precision=name,
                compute=derived.compute,
                weights=derived.weights,
                tolerance=base.tolerance + derived.added,
                parity=None,
            )
    return variants


def find_variant(manifest: Manifest, provider: str, precision: str) -> Variant:
    """Return one of ``find_variants``; raises PrecisionError that lists what there is instead."""
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


def default_profiles(manifest: Manifest) -> tuple[Profile, ...]:
    """Return one range of shapes for everything: up to eight recordings of up to 60 s."""
    rate_hz, shortest = manifest.sample_rate_hz, manifest.min_samples
    return (
        Profile(
            min=BatchShape(batch=1, samples=shortest),
            opt=BatchShape(batch=1, samples=max(shortest, 10 * rate_hz)),
            max=BatchShape(batch=8, samples=max(shortest, 60 * rate_hz)),
        ),
    )
