"""`export`: from a checkpoint to a verified bundle."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import onnx_ir as ir

from sewd_export.bundle import (
    copy_configs,
    hash_files,
    write_golden,
    write_manifest,
    write_vocabulary,
)
from sewd_export.checkpoint.language_model import find_language_model
from sewd_export.checkpoint.loading import Checkpoint, load_checkpoint
from sewd_export.conversion import Converted, Recordings, convert, release_memory
from sewd_export.errors import ExportError, ParityError
from sewd_export.families import build_module, check_config
from sewd_export.parity.language_model import take_language_model
from sewd_export.parity.reference import Reference
from sewd_export.parity.report import ParityReport
from sewd_export.passes import optimize
from sewd_export.precisions import REFERENCE, check_precisions
from sewd_export.precisions.attempts import Attempts
from sewd_export.progress import Progress, no_progress
from sewd_export.refusals import bundle_of, check_replaced
from sewd_export.staging import staged
from sewd_export.tensorrt import BuiltEngine, EngineOptions, build_engines, check_engines
from sewd_export.tracing import trace
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.bundle.manifest import Manifest, Provenance
from sewd_runtime.bundle.sensitivity import Sensitivity
from sewd_runtime.inference.golden import check_golden

_PACKAGES = ("sewd", "torch", "transformers", "onnx", "onnxruntime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A written bundle, and how each precision of this export compares with the original.

    failed: precisions that are not in the bundle because they failed → why.
    sensitivities: precision → what it keeps in float32 and why, if the increase of errors was bounded.
    warnings: TensorRT's, except those that docs/engines.md explains.
    """

    path: Path
    manifest: Manifest
    reports: tuple[ParityReport, ...]
    failed: Mapping[str, str] = field(default_factory=dict)
    sensitivities: Mapping[str, Sensitivity] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        path: Path,
        manifest: Manifest,
        converted: Converted,
        attempts: Attempts,
        built: Sequence[BuiltEngine] = (),
    ) -> Exported:
        """Return what an export of these precisions has written."""
        return cls(
            path=path,
            manifest=manifest,
            reports=converted.reports,
            failed=attempts.failed,
            sensitivities=converted.sensitivities,
            warnings=tuple(text for engine in built for text in engine.warnings),
        )

    @property
    def report(self) -> str:
        """The parity tables, as text; those of failed precisions too."""
        return "\n\n".join(map(str, self.reports))


def export(
    checkpoint: str | Path | None = None,
    out: str | Path | None = None,
    *,
    precisions: Sequence[str] = (REFERENCE,),
    audio: str | Path | None = None,
    evaluate: str | Path | None = None,
    max_wer_increase: float | None = None,
    calibrate: str | Path | None = None,
    engines: EngineOptions | None = None,
    lm: bool = True,
    strict: bool = False,
    progress: Progress = no_progress,
) -> Exported:
    """Export a checkpoint to a bundle, verified against the original before it appears.

    checkpoint: a Hugging Face folder, a hub id, or None for the embedded digits model.
    out: the bundle's folder; None is `<name>-bundle` in the current folder. An older bundle is replaced, if
        it has no precision and no engines that this export leaves out.
    precisions: names of `PRECISIONS`; float32 is always written.
    audio: a folder of recordings to compare on as well, with a `transcripts.tsv` if there is one.
    calibrate: a folder of recordings on which to measure the ranges that int8-static can use.
    evaluate, max_wer_increase: a folder like `audio`, and by how many percentage points the word error rate
        on it may exceed float32's; without transcripts, how many percent of the transcripts may differ from
        float32's. The most sensitive matmuls stay in float32 until the bound holds.
    engines: also build TensorRT engines of these precisions, of fp32 only if it is the only one.
    lm: take the language model beside the checkpoint into the bundle, if there is one.
    strict: write nothing if any precision fails. Otherwise the bundle has the others; `failed` says why.
    Raises ExportError (see `errors.py`), MissingPackageError if a builder is missing, VocabularyError, or
    OSError; then nothing is written. That float32 fails is always an error.
    """
    names = check_options(precisions, evaluate, max_wer_increase, is_calibrated=calibrate is not None)
    engine_precisions = () if engines is None else check_engines(precisions, engines)
    progress("load the checkpoint")
    loaded = load_checkpoint(checkpoint, with_lm=lm)
    check_config(loaded)
    found_lm = find_language_model(loaded.folder) if lm and loaded.task == "ctc" else None
    target = Path(out) if out is not None else bundle_of(loaded.name)
    with staged(target) as folder:
        replaced = check_replaced(target, names, has_engines=engines is not None)
        recordings = Recordings.read(
            loaded, calibrate=calibrate, evaluate=evaluate, max_wer_increase=max_wer_increase
        )
        attempts = Attempts(names, strict=strict)
        reference = _write_common_files(loaded, folder, audio, progress)
        taken_lm = take_language_model(found_lm, folder, reference) if found_lm else None
        graph = partial(_trace, loaded, progress)
        converted = convert(graph, folder, attempts, reference, recordings, progress)
        _refuse_loss(target, replaced, attempts.failed)
        good = [name for name in engine_precisions if name in attempts.good]
        built = _build_engines(loaded, folder, good, engines, progress)
        manifest = _manifest(loaded, reference, converted, built, attempts.failed)
        manifest = replace(manifest, language_model=taken_lm)
        manifest = finish(manifest, folder, attempts, progress)
    return Exported.of(target, manifest, converted, attempts, built)


def check_options(
    precisions: Sequence[str],
    evaluate: str | Path | None,
    max_wer_increase: float | None,
    *,
    is_calibrated: bool,
) -> tuple[str, ...]:
    """Return the precisions to write, float32 first; raises ExportError."""
    if (evaluate is None) != (max_wer_increase is None):
        raise ExportError(
            "evaluate and max_wer_increase go together: recordings, and a bound to meet on them"
        )
    has_bound = max_wer_increase is not None
    return check_precisions(precisions, has_bound=has_bound, is_calibrated=is_calibrated)


def _refuse_loss(target: Path, replaced: Sequence[str], failed: Mapping[str, str]) -> None:
    """Raise ExportError if a precision failed that the bundle to be replaced has."""
    if lost := [name for name in replaced if name in failed]:
        raise ExportError(
            f"{target}: left as it was, because it has {', '.join(lost)}, which failed now; choose another "
            f"-o to write the others: {'; '.join(failed[name] for name in lost)}"
        )


def _write_common_files(
    checkpoint: Checkpoint, folder: Path, audio: str | Path | None, progress: Progress
) -> Reference:
    """Write what all precisions share, and return the original's answers."""
    write_vocabulary(checkpoint, folder)
    copy_configs(checkpoint, folder)
    reference = run_original(checkpoint, audio, progress)
    write_golden(folder, reference.golden.samples, reference.golden.expected)
    return reference


def run_original(checkpoint: Checkpoint, audio: str | Path | None, progress: Progress) -> Reference:
    """Run the original on the grid, and free it."""
    progress("run the original")
    reference = Reference.make(checkpoint, audio=audio)
    release_memory()
    return reference


def _trace(checkpoint: Checkpoint, progress: Progress) -> ir.Model:
    """Return the optimised graph, which takes over the checkpoint's weights."""
    progress("trace the model")
    receptive_field = checkpoint.geometry.receptive_field
    graph = optimize(trace(build_module(checkpoint), receptive_field=receptive_field))
    checkpoint.state_dict.clear()
    return graph


def _build_engines(
    checkpoint: Checkpoint,
    folder: Path,
    precisions: Sequence[str],
    options: EngineOptions | None,
    progress: Progress,
) -> tuple[BuiltEngine, ...]:
    if options is None:
        return ()
    rate_hz, min_samples = checkpoint.sample_rate_hz, checkpoint.geometry.min_samples
    return tuple(
        build_engines(
            folder, precisions, options, sample_rate_hz=rate_hz, min_samples=min_samples, progress=progress
        )
    )


def _manifest(
    checkpoint: Checkpoint,
    reference: Reference,
    converted: Converted,
    built: Sequence[BuiltEngine],
    failed: Mapping[str, str],
) -> Manifest:
    """Return the manifest of a new bundle, without its files."""
    geometry = checkpoint.geometry
    return Manifest(
        name=checkpoint.name,
        task=checkpoint.task,
        family=checkpoint.config.model_type,
        sample_rate_hz=checkpoint.sample_rate_hz,
        receptive_field=geometry.receptive_field,
        stride=geometry.stride,
        min_samples=geometry.min_samples,
        num_outputs=reference.golden.expected.shape[-1],
        ctc=None if checkpoint.vocabulary is None else checkpoint.vocabulary.ctc,
        precisions=dict(converted.entries),
        failed=dict(failed),
        files={},
        provenance=Provenance(
            checkpoint=checkpoint.origin,
            checkpoint_sha256=checkpoint.sha256,
            versions={package: importlib.metadata.version(package) for package in _PACKAGES},
        ),
        engines={engine.entry.name: engine.entry for engine in built},
    )


def finish(manifest: Manifest, folder: Path, attempts: Attempts, progress: Progress) -> Manifest:
    """Write the manifest with the hashes of all files, and check the bundle with the runtime."""
    progress("verify the bundle")
    manifest = replace(manifest, files=hash_files(folder))
    write_manifest(folder, manifest)
    bundle = open_bundle(folder)
    for name in attempts.good:
        result = check_golden(bundle, name)
        if not result.passed:
            raise ParityError(f"{name}: the runtime misses the golden utterance by {result.max_abs:.2e}")
    return manifest
