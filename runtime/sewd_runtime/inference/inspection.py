"""A bundle shown to people, with every claim that can be checked here checked."""

import os
from collections.abc import Iterator, Mapping

from sewd_runtime.bundle.folder import Bundle, find_bundle, open_bundle
from sewd_runtime.bundle.manifest import Manifest, PrecisionEntry
from sewd_runtime.bundle.sensitivity import Sensitivity, sensitivity_file
from sewd_runtime.errors import BundleError, SewdError
from sewd_runtime.inference.golden import compare_golden
from sewd_runtime.inference.variants import Variant, find_variant, find_variants


def inspect_bundle(
    path: str | os.PathLike[str] | None,
    *,
    precision: str | None = None,
    provider: str = "cpu",
    threads: int | None = None,
) -> Iterator[tuple[str, bool]]:
    """Yield the lines of a report, each with whether the check that it reports passed.

    precision: the only one to run; None runs all that the provider has. Raises BundleError when the manifest
    itself cannot be read, ProviderError and PrecisionError when there is no such thing.
    """
    bundle = open_bundle(find_bundle(path))
    variants = find_variants(bundle.manifest, provider)
    left_out = [name for name in bundle.manifest.precisions if name not in variants]
    if precision is not None:
        variants = {precision: find_variant(bundle.manifest, provider, precision)}
    for line in _describe(bundle):
        yield line, True
    yield _check_files(bundle)
    yield "", True
    for line in _evidence(bundle.manifest):
        yield line, True
    yield "", True
    yield from _kept(bundle)
    yield from _check_variants(bundle, variants, threads)
    if left_out:
        yield f"provider {provider} does not run {', '.join(left_out)}", True


def _describe(bundle: Bundle) -> Iterator[str]:
    manifest = bundle.manifest
    provenance = manifest.provenance
    versions = ", ".join(f"{name} {version}" for name, version in provenance.versions.items())
    for key, value in (
        ("bundle", bundle.path),
        ("name", manifest.name),
        ("task", f"{manifest.task}, {manifest.num_outputs} outputs{_vocabulary(manifest)}"),
        ("family", manifest.family),
        ("audio", f"{manifest.sample_rate_hz} Hz, at least {manifest.min_samples} samples"),
        ("frames", f"receptive field {manifest.receptive_field}, stride {manifest.stride} samples"),
        ("checkpoint", f"{provenance.checkpoint} (sha256 {provenance.checkpoint_sha256[:12]})"),
        ("made with", versions),
    ):
        yield f"{key:<11}{value}"
    for name, engine in manifest.engines.items():
        size = manifest.files[engine.file].size_bytes / 1e6
        yield f"{'engine':<11}{name}, version {engine.version}, {size:.1f} MB"


def _vocabulary(manifest: Manifest) -> str:
    if manifest.ctc is None:
        return ""
    return f", blank {manifest.ctc.blank_id}, word delimiter {manifest.ctc.word_delimiter!r}"


def _check_files(bundle: Bundle) -> tuple[str, bool]:
    count = len(bundle.manifest.files)
    try:
        bundle.verify()
    except BundleError as error:
        return f"{'files':<11}FAILED: {error}", False
    return f"{'files':<11}{count}, all sizes and hashes right", True


def _evidence(manifest: Manifest) -> Iterator[str]:
    """Show what the exporter measured."""
    row = "{:<10}{:>7}  {:>9}  {:>9}  {:>9}  {:>8}  {:>8}  {:>8}"
    yield row.format("precision", "MB", "max abs", "relative", "batches", "labels", "texts", "WER")
    for name, entry in manifest.precisions.items():
        found = entry.parity
        errors = map(_number, (found.max_abs, found.relative, found.batch_error))
        shares = map(_share, (found.label_agreement, found.transcript_agreement, found.wer))
        yield row.format(name, f"{manifest.files[entry.file].size_bytes / 1e6:.1f}", *errors, *shares)
        if found.wer is not None:
            yield f"{'':<10}the original's WER on these {found.words} words: {_share(found.original_wer)}"
    yield "measured at export against the original model; labels, texts: how many are the same"


def _kept(bundle: Bundle) -> Iterator[tuple[str, bool]]:
    """Show what each precision keeps in float32, and why, where the exporter looked for that."""
    for precision in bundle.manifest.precisions:
        name = sensitivity_file(precision)
        if name not in bundle.manifest.files:
            continue
        try:
            found = Sensitivity.from_json(bundle.read_text(name), where=str(bundle.path / name))
        except BundleError as error:
            yield f"{name}: FAILED: {error}", False
        else:
            for line in found.describe(precision):
                yield line, True
        yield "", True


def _check_variants(
    bundle: Bundle, variants: Mapping[str, Variant], threads: int | None
) -> Iterator[tuple[str, bool]]:
    row = f"{{:<{max(map(len, ('precision', *variants)))}}}" + "{:>8}" + "  {:>9}" * 3 + "  {}"
    yield row.format("precision", "opset", "allowed", "here", "relative", "golden utterance"), True
    for name, variant in variants.items():
        entry = variant.entry
        known = (name, entry.opset, _number(variant.tolerance.max_abs))
        try:
            result = compare_golden(bundle, variant, variant.open(bundle, threads=threads))
        except SewdError as error:
            yield row.format(*known, "-", "-", f"FAILED: {error}"), False
            continue
        verdict = "ok" if result.passed else "FAILED: off by more than allowed"
        here = (_number(result.max_abs), _number(result.relative))
        yield row.format(*known, *here, verdict + _domains(entry)), result.passed
    yield "allowed, here: largest absolute difference from the original model", True


def _domains(entry: PrecisionEntry) -> str:
    return f", uses {', '.join(entry.domains)}" if entry.domains else ""


def _number(value: float) -> str:
    return f"{value:.1e}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"
