"""`export`: from a checkpoint to a verified bundle."""

from __future__ import annotations

import ctypes
import gc
import importlib.metadata
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.bundle import (
    copy_configs,
    hash_files,
    write_golden,
    write_manifest,
    write_sensitivities,
    write_vocabulary,
)
from sewd_export.checkpoint.loading import Checkpoint, load_checkpoint
from sewd_export.errors import ExportError, ParityError, TraceError
from sewd_export.families import build_module, check_config
from sewd_export.parity.reference import Reference
from sewd_export.parity.report import ParityReport
from sewd_export.passes import optimize
from sewd_export.precisions import PRECISIONS, REFERENCE, calibrated_inputs, check_precisions, converter
from sewd_export.progress import Progress, no_progress
from sewd_export.search.calibration import measure_ranges, read_calibration
from sewd_export.search.evaluation import Evaluation
from sewd_export.search.mixed import keep_sensitive
from sewd_export.staging import staged
from sewd_export.tensorrt import BuiltEngine, EngineOptions, build_engines, check_engines
from sewd_export.tracing import trace
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.bundle.manifest import Manifest, PrecisionEntry, Provenance, model_file
from sewd_runtime.bundle.sensitivity import Sensitivity
from sewd_runtime.inference.golden import check_golden

if TYPE_CHECKING:
    from sewd_export.precisions import Ranges

Opsets = dict[str, int]
_PACKAGES = ("sewd", "torch", "transformers", "onnx", "onnxruntime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A written bundle, and how each of its precisions compares with the original.

    sensitivities: precision → what it keeps in float32 and why, if the increase of errors was bounded.
    warnings: TensorRT's, except those that docs/engines.md explains.
    """

    path: Path
    manifest: Manifest
    reports: tuple[ParityReport, ...]
    sensitivities: Mapping[str, Sensitivity] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def report(self) -> str:
        """The parity tables, as text."""
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
    progress: Progress = no_progress,
) -> Exported:
    """Export a checkpoint to a bundle, verified against the original before it appears.

    checkpoint: a Hugging Face folder, a hub id, or None for the embedded digits model.
    out: the bundle's folder; None is `<name>-bundle` in the current folder. An older bundle is replaced.
    precisions: names of `PRECISIONS`; float32 is always written.
    audio: a folder of recordings to compare on as well, with a `transcripts.tsv` if there is one.
    calibrate: a folder of recordings on which to measure the ranges that int8-static can use.
    evaluate, max_wer_increase: a folder like `audio`, and by how many percentage points the word error rate
        on it may exceed float32's; without transcripts, how many percent of the transcripts may differ from
        float32's. The most sensitive matmuls stay in float32 until the bound holds.
    engines: also build TensorRT engines of these precisions, of fp32 only if it is the only one.
    Raises ExportError (see `errors.py`), MissingPackageError if a builder is missing, VocabularyError, or
    OSError; then nothing is written.
    """
    precisions, engine_precisions = _check_options(
        precisions, evaluate, max_wer_increase, is_calibrated=calibrate is not None, engines=engines
    )
    progress("load the checkpoint")
    loaded = load_checkpoint(checkpoint)
    check_config(loaded)
    target = Path(out) if out is not None else Path(f"{loaded.name}-bundle")
    with staged(target) as folder:
        recordings = () if calibrate is None else _read_calibration(loaded, Path(calibrate))
        evaluation = _read_evaluation(loaded, evaluate, max_wer_increase)
        write_vocabulary(loaded, folder)
        copy_configs(loaded, folder)
        reference = _run_original(loaded, folder, audio, progress)
        progress("trace the model")
        opsets, ranges = _write_models(loaded, folder, precisions, recordings=recordings)
        kept = _keep_sensitive(folder, precisions, ranges, evaluation, progress)
        reports = tuple(_compare(reference, folder, precisions, progress))
        built = _build_engines(loaded, folder, engine_precisions, engines, progress)
        progress("verify the bundle")
        manifest = _manifest(loaded, folder, reference, reports, opsets, built)
        write_manifest(folder, manifest)
        _check_golden(folder, precisions)
    warnings = tuple(text for engine in built for text in engine.warnings)
    return Exported(path=target, manifest=manifest, reports=reports, sensitivities=kept, warnings=warnings)


def _check_options(
    precisions: Sequence[str],
    evaluate: str | Path | None,
    max_wer_increase: float | None,
    *,
    is_calibrated: bool,
    engines: EngineOptions | None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the precisions to write, and those to build engines of; raises ExportError."""
    if (evaluate is None) != (max_wer_increase is None):
        raise ExportError(
            "evaluate and max_wer_increase go together: recordings, and a bound to meet on them"
        )
    engine_precisions = () if engines is None else check_engines(precisions, engines)
    has_bound = max_wer_increase is not None
    return check_precisions(precisions, has_bound=has_bound, is_calibrated=is_calibrated), engine_precisions


def _read_calibration(checkpoint: Checkpoint, folder: Path) -> tuple[NDArray[np.float32], ...]:
    min_samples = checkpoint.geometry.min_samples
    return read_calibration(folder, sample_rate_hz=checkpoint.sample_rate_hz, min_samples=min_samples)


def _read_evaluation(
    checkpoint: Checkpoint, folder: str | Path | None, max_increase: float | None
) -> Evaluation | None:
    if folder is None or max_increase is None:
        return None
    return Evaluation.read(Path(folder), checkpoint, max_increase=max_increase)


def _run_original(
    checkpoint: Checkpoint, folder: Path, audio: str | Path | None, progress: Progress
) -> Reference:
    """Run the original on the grid, free it, and write the golden utterance."""
    progress("run the original")
    reference = Reference.make(checkpoint, audio=audio)
    _release_memory()
    write_golden(folder, reference.golden.samples, reference.golden.expected)
    return reference


def _write_models(
    checkpoint: Checkpoint,
    folder: Path,
    precisions: Sequence[str],
    *,
    recordings: Sequence[NDArray[np.float32]] = (),
) -> tuple[dict[str, Opsets], Ranges | None]:
    """Trace once and write one model per precision; return the opsets of each, and the ranges measured on the
    recordings, if any.

    Afterwards neither the trace nor the checkpoint's weights are in memory: parity needs it.
    """
    graph = optimize(trace(build_module(checkpoint), receptive_field=checkpoint.geometry.receptive_field))
    ranges = None
    if recordings:
        ranges = measure_ranges(graph, calibrated_inputs(graph, precisions), recordings)
    opsets = {}
    for name in precisions:
        model = converter(name, ranges)(graph)
        try:
            ir.save(model, folder / model_file(name))
        except ValueError as error:  # protobuf refuses a file over its limit
            raise TraceError(f"{name}: cannot be written as one file of at most 2 GB: {error}") from error
        opsets[name] = dict(model.opset_imports)
        del model
    for value in graph.graph.initializers.values():
        value.const_value = None  # torch's caches keep the graph; without this they would keep its weights
    checkpoint.state_dict.clear()
    _release_memory()
    return opsets, ranges


def _keep_sensitive(
    folder: Path,
    precisions: Sequence[str],
    ranges: Ranges | None,
    evaluation: Evaluation | None,
    progress: Progress,
) -> dict[str, Sensitivity]:
    """Rewrite the models that exceed the bound, and write what each of them keeps in float32."""
    if evaluation is None:
        return {}
    converters = {name: converter(name, ranges) for name in precisions if PRECISIONS[name].matmuls}
    sensitivities = keep_sensitive(folder, converters, evaluation, progress=progress)
    write_sensitivities(folder, sensitivities)
    _release_memory()
    return sensitivities


def _compare(
    reference: Reference, folder: Path, precisions: Sequence[str], progress: Progress
) -> Iterator[ParityReport]:
    """Yield the report of each precision; raises ParityError at the first that misses its tolerance."""
    for name in precisions:
        progress(f"compare {name} with the original")
        tolerance = PRECISIONS[name].tolerance
        report = reference.compare(folder / model_file(name), precision=name, tolerance=tolerance)
        report.check()
        yield report


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
    folder: Path,
    reference: Reference,
    reports: Sequence[ParityReport],
    opsets: Mapping[str, Opsets],
    built: Sequence[BuiltEngine],
) -> Manifest:
    geometry = checkpoint.geometry
    manifest = Manifest(
        name=checkpoint.name,
        task=checkpoint.task,
        family=checkpoint.config.model_type,
        sample_rate_hz=checkpoint.sample_rate_hz,
        receptive_field=geometry.receptive_field,
        stride=geometry.stride,
        min_samples=geometry.min_samples,
        num_outputs=reference.golden.expected.shape[-1],
        ctc=None if checkpoint.vocabulary is None else checkpoint.vocabulary.ctc,
        precisions={report.precision: _entry(report, opsets[report.precision]) for report in reports},
        files=hash_files(folder),
        provenance=Provenance(
            checkpoint=checkpoint.origin,
            checkpoint_sha256=checkpoint.sha256,
            versions={package: importlib.metadata.version(package) for package in _PACKAGES},
        ),
    )
    return manifest.with_engines(engine.entry for engine in built)


def _entry(report: ParityReport, opsets: Opsets) -> PrecisionEntry:
    return PrecisionEntry(
        file=model_file(report.precision),
        opset=opsets[""],
        domains=tuple(sorted(filter(None, opsets))),
        tolerance=report.tolerance,
        parity=report.evidence,
    )


def _check_golden(folder: Path, precisions: Sequence[str]) -> None:
    bundle = open_bundle(folder)
    for name in precisions:
        result = check_golden(bundle, name)
        if not result.passed:
            raise ParityError(f"{name}: the runtime misses the golden utterance by {result.max_abs:.2e}")


def _release_memory() -> None:
    """Collect garbage and return free pages to the system.

    After a minute of audio glibc keeps about 250 MB of freed activations, which would add to the next peak.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
