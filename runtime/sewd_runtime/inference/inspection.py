"""What a bundle says of itself, and whether that holds here."""

from collections.abc import Mapping
from dataclasses import dataclass

from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.bundle.manifest import Manifest
from sewd_runtime.bundle.sensitivity import Sensitivity, sensitivity_file
from sewd_runtime.errors import BundleError, SewdError
from sewd_runtime.inference.golden import compare_golden
from sewd_runtime.inference.variants import Variant, find_variant, find_variants


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenCheck:
    """The golden utterance, run here in one precision.

    opset, domains: of its file; allowed: the tolerance's largest absolute error.
    max_abs, relative: the errors here, None if it did not run. failure: why it did not pass, "" if it did.
    """

    precision: str
    opset: int
    domains: tuple[str, ...]
    allowed: float
    max_abs: float | None = None
    relative: float | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A bundle and the checks of it; ``dataclasses.asdict`` makes it JSON.

    sensitivities: precision → what it keeps in float32, where the exporter searched for that.
    bad_files: "files", or the name of one that cannot be read → the error. not_run: precisions that the
    provider does not have.
    """

    path: str
    provider: str
    manifest: Manifest
    sensitivities: Mapping[str, Sensitivity]
    bad_files: Mapping[str, str]
    checks: tuple[GoldenCheck, ...]
    not_run: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not self.bad_files and not any(check.failure for check in self.checks)


def inspect_bundle(
    bundle: Bundle, *, precision: str | None = None, provider: str = "cpu", threads: int | None = None
) -> Inspection:
    """Check a bundle's files and run its golden utterance.

    precision: the only one to run; None runs every one that the provider has.
    Raises ProviderError or PrecisionError for an unknown one.
    """
    manifest = bundle.manifest
    variants = find_variants(manifest, provider)
    not_run = tuple(name for name in manifest.precisions if name not in variants)
    if precision is not None:
        variants = {precision: find_variant(manifest, provider, precision)}
    bad_files = {}
    try:
        bundle.verify()
    except BundleError as error:
        bad_files["files"] = str(error)
    sensitivities = {}
    for name in manifest.precisions:
        file = sensitivity_file(name)
        if file not in manifest.files:
            continue
        try:
            sensitivities[name] = Sensitivity.from_json(bundle.read_text(file), where=str(bundle.path / file))
        except BundleError as error:
            bad_files[file] = str(error)
    return Inspection(
        path=str(bundle.path),
        provider=provider,
        manifest=manifest,
        sensitivities=sensitivities,
        bad_files=bad_files,
        checks=tuple(_check(bundle, variant, threads) for variant in variants.values()),
        not_run=not_run,
    )


def _check(bundle: Bundle, variant: Variant, threads: int | None) -> GoldenCheck:
    max_abs = relative = None
    try:
        result = compare_golden(bundle, variant, variant.open(bundle, threads=threads))
    except SewdError as error:
        failure = str(error)
    else:
        max_abs, relative = result.max_abs, result.relative
        failure = "" if result.passed else "off by more than allowed"
    return GoldenCheck(
        precision=variant.precision,
        opset=variant.entry.opset,
        domains=variant.entry.domains,
        allowed=variant.tolerance.max_abs,
        max_abs=max_abs,
        relative=relative,
        failure=failure,
    )
