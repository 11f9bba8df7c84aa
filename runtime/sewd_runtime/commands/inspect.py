"""``sewd inspect``."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from sewd_runtime.bundle.folder import find_bundle
from sewd_runtime.bundle.manifest import Manifest
from sewd_runtime.commands._command import DONE, SOME_FAILED, add_bundle, add_json
from sewd_runtime.commands._model import add_threads, add_variant
from sewd_runtime.inference.inspection import GoldenCheck, Inspection, inspect_bundle
from sewd_runtime.system.terminal import json_line, printable

HELP = "Describe a bundle, check its hashes and rerun its golden utterance."
EXAMPLES = """\
  sewd inspect my-bundle
  sewd inspect my-bundle --provider openvino --precision fp32
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_bundle(command)
    add_json(command.add_argument_group("output"), "one JSON object")
    group = command.add_argument_group("model")
    add_variant(group, default="all that the provider runs", auto=False)
    add_threads(group)


def run(options: argparse.Namespace) -> int:
    """Print the report and return the exit code: whether every check passed."""
    inspection = inspect_bundle(
        find_bundle(options.model),
        precision=options.precision,
        provider=options.provider,
        threads=options.threads,
    )
    if options.format == "json":
        print(json_line({**asdict(inspection), "passed": inspection.passed}))
    else:
        print(*map(printable, _lines(inspection)), sep="\n")
    return DONE if inspection.passed else SOME_FAILED


def _lines(inspection: Inspection) -> Iterator[str]:
    yield from _describe(inspection)
    yield ""
    yield from _evidence(inspection.manifest)
    yield ""
    for precision, sensitivity in inspection.sensitivities.items():
        yield from sensitivity.describe(precision)
        yield ""
    for name, error in inspection.bad_files.items():
        if name != "files":
            yield from (f"{name}: FAILED: {error}", "")
    yield from _golden(inspection.checks)
    if inspection.not_run:
        yield f"provider {inspection.provider} does not run {', '.join(inspection.not_run)}"


def _describe(inspection: Inspection) -> Iterator[str]:
    manifest, provenance = inspection.manifest, inspection.manifest.provenance
    lm = manifest.language_model
    files = f"{len(manifest.files)}, all sizes and hashes right"
    if "files" in inspection.bad_files:
        files = f"FAILED: {inspection.bad_files['files']}"
    for key, value in (
        ("bundle", inspection.path),
        ("name", manifest.name),
        ("task", f"{manifest.task}, {manifest.num_outputs} outputs{_vocabulary(manifest)}"),
        ("family", manifest.family),
        ("audio", f"{manifest.sample_rate_hz} Hz, at least {manifest.min_samples} samples"),
        ("frames", f"receptive field {manifest.receptive_field}, stride {manifest.stride} samples"),
        ("checkpoint", f"{provenance.checkpoint} (sha256 {provenance.checkpoint_sha256[:12]})"),
        ("made with", ", ".join(f"{name} {version}" for name, version in provenance.versions.items())),
        *(
            ("engine", f"{name}, version {engine.version}, {_megabytes(manifest, engine.file)} MB")
            for name, engine in manifest.engines.items()
        ),
        *([("n-grams", f"{lm.file}, {_megabytes(manifest, lm.file)} MB, {lm.describe()}")] if lm else []),
        ("files", files),
    ):
        yield f"{key:<11}{value}"


def _vocabulary(manifest: Manifest) -> str:
    if manifest.ctc is None:
        return ""
    return f", blank {manifest.ctc.blank_id}, word delimiter {manifest.ctc.word_delimiter!r}"


def _evidence(manifest: Manifest) -> Iterator[str]:
    """Show what the exporter measured."""
    row = "{:<10}{:>7}  {:>9}  {:>9}  {:>9}  {:>8}  {:>8}  {:>8}"
    yield row.format("precision", "MB", "max abs", "relative", "batches", "labels", "texts", "WER")
    for name, entry in manifest.precisions.items():
        parity = entry.parity
        errors = map(_number, (parity.max_abs, parity.relative, parity.batch_error))
        shares = map(_share, (parity.label_agreement, parity.transcript_agreement, parity.wer))
        yield row.format(name, _megabytes(manifest, entry.file), *errors, *shares)
        if entry.calibrated is not None:
            yield f"{'':<10}{'' if entry.calibrated else 'not '}calibrated on recordings"
        if parity.wer is not None:
            yield f"{'':<10}the original's WER on these {parity.words} words: {_share(parity.original_wer)}"
    for name, reason in manifest.failed.items():
        yield f"{name:<10}not in the bundle: {reason}"
    yield "measured at export against the original model; labels, texts: share that is the same"


def _golden(checks: Sequence[GoldenCheck]) -> Iterator[str]:
    width = max(len("precision"), *(len(check.precision) for check in checks)) if checks else 9
    row = f"{{:<{width}}}" + "{:>8}" + "  {:>9}" * 3 + "  {}"
    yield row.format("precision", "opset", "allowed", "here", "relative", "golden utterance")
    for check in checks:
        domains = f", uses {', '.join(check.domains)}" if check.domains else ""
        verdict = f"FAILED: {check.failure}" if check.failure else "ok"
        errors = map(_number, (check.allowed, check.max_abs, check.relative))
        yield row.format(check.precision, check.opset, *errors, verdict + domains)
    yield "allowed, here: largest absolute difference from the original model"


def _megabytes(manifest: Manifest, file: str) -> str:
    return f"{manifest.files[file].size_bytes / 1e6:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"
