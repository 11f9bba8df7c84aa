"""`export`: from a checkpoint to a verified bundle."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.bundle import (
    check_target,
    copy_configs,
    hash_files,
    staged,
    write_golden,
    write_manifest,
    write_sensitivities,
    write_vocabulary,
)
from sewd_export.checkpoint.loading import Checkpoint, load_checkpoint
from sewd_export.errors import ExportError, ParityError, TraceError
from sewd_export.families import build_module, check_config, geometry
from sewd_export.memory import release_memory
from sewd_export.parity.reference import Reference
from sewd_export.parity.report import ParityReport
from sewd_export.passes import optimize
from sewd_export.precisions import PRECISIONS, REFERENCE, check_precisions, converter
from sewd_export.search.calibration import measure_ranges, read_calibration
from sewd_export.search.evaluation import Evaluation
from sewd_export.search.mixed import keep_sensitive
from sewd_export.tensorrt import BuiltEngine, EngineOptions, build_engines, check_engines
from sewd_export.tracing import trace
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.bundle.manifest import CtcEntry, Manifest, PrecisionEntry, Provenance
from sewd_runtime.bundle.sensitivity import Sensitivity
from sewd_runtime.inference.golden import check_golden

if TYPE_CHECKING:
    from sewd_export.precisions.int8_static.quantize_with_constants import Ranges
Progress = Callable[[str], None]
_PACKAGES = ("sewd", "torch", "transformers", "onnx", "onnxruntime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A written bundle, and how each of its precisions compared with the original.

    sensitivities: precision → what it keeps in float32 and why, where an increase of errors was bounded.
    warnings: what TensorRT said of an engine that docs/engines.md does not explain.
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
    progress: Progress = lambda stage: None,
) -> Exported:
    """Export a checkpoint to a bundle that is verified against the original before it appears.

    checkpoint: a Hugging Face folder, a hub id, or None for the embedded digits model.
    out: the bundle's folder; None is `<name>-bundle` in the current folder. An older bundle there is
    replaced.
    precisions: names of `PRECISIONS`; float32 is always written.
    audio: a folder of recordings that are compared as well, and their `transcripts.tsv` where there is one.
    calibrate: a folder of recordings on which the precisions that take ranges (int8-static) measure them.
    evaluate, max_wer_increase: a folder as for `audio`, and by how many percentage points the word error rate
    on it may exceed float32's; without transcripts, how many percent of the transcripts may differ from
    float32's. The most sensitive products of a precision stay in float32 until the bound holds.
    engines: also build TensorRT's engines of these precisions, fp32's only if it stands alone; not run here.
    Raises ExportError (CheckpointError, UnsupportedConfigError, BoundError, TraceError, ParityError,
    EngineBuildError), MissingPackageError where a builder is missing,
    VocabularyError, or OSError where the disk refuses; then nothing is written.
    """
    if (evaluate is None) != (max_wer_increase is None):
        raise ExportError("evaluate and max_wer_increase go together: a bound, and recordings to hold it on")
    engine_precisions = () if engines is None else check_engines(precisions, engines)
    precisions = check_precisions(
        precisions, has_bound=max_wer_increase is not None, is_calibrated=calibrate is not None
    )
    progress("load the checkpoint")
    source = load_checkpoint(checkpoint)
    target = Path(out) if out is not None else Path(f"{source.name}-bundle")
    check_target(target)
    check_config(source)
    recordings = () if calibrate is None else _read_calibration(source, Path(calibrate))
    with staged(target) as folder:
        ctc = write_vocabulary(source, folder)
        copy_configs(source, folder)
        evaluation = _read_evaluation(source, ctc, evaluate, max_wer_increase)
        progress("run the original")
        reference = Reference.make(source, ctc=ctc, audio=audio)
        release_memory()
        write_golden(folder, reference.golden.samples, reference.golden.expected)
        progress("trace the model")
        opsets, ranges = _write_models(source, folder, precisions, recordings=recordings)
        sensitivities = _keep_sensitive(folder, precisions, ranges, evaluation, progress)
        reports = tuple(_compare(reference, folder, precisions, progress))
        built = _build_engines(source, folder, engine_precisions, engines, progress)
        progress("verify the bundle")
        manifest = _manifest(source, folder, ctc=ctc, reference=reference, reports=reports, opsets=opsets)
        manifest = manifest.with_engines(engine.entry for engine in built)
        write_manifest(folder, manifest)
        _check_golden(folder, precisions)
    return Exported(
        path=target,
        manifest=manifest,
        reports=reports,
        sensitivities=sensitivities,
        warnings=tuple(f"{engine.entry.name}: {text}" for engine in built for text in engine.warnings),
    )


def _read_evaluation(
    source: Checkpoint, ctc: CtcEntry | None, folder: str | Path | None, max_increase: float | None
) -> Evaluation | None:
    if folder is None or max_increase is None:
        return None
    return Evaluation.read(Path(folder), source, ctc=ctc, max_increase=max_increase)


def _keep_sensitive(
    folder: Path,
    precisions: Sequence[str],
    ranges: Ranges | None,
    evaluation: Evaluation | None,
    progress: Progress,
) -> dict[str, Sensitivity]:
    """Write those models again that exceed the bound, and what each of them keeps in float32."""
    if evaluation is None:
        return {}
    converters = {
        name: converter(name, ranges) for name in precisions if PRECISIONS[name].products is not None
    }
    found = keep_sensitive(folder, converters, evaluation, progress=progress)
    write_sensitivities(folder, found)
    release_memory()
    return found


def _read_calibration(source: Checkpoint, folder: Path) -> tuple[NDArray[np.float32], ...]:
    min_samples = geometry(source.config).min_samples
    return read_calibration(folder, sample_rate_hz=source.sample_rate_hz, min_samples=min_samples)


def _write_models(
    source: Checkpoint,
    folder: Path,
    precisions: Sequence[str],
    *,
    recordings: Sequence[NDArray[np.float32]] = (),
) -> tuple[dict[str, dict[str, int]], Ranges | None]:
    """Trace once and write one model for each precision; return the operator sets of each, and the ranges
    that were measured on the recordings.

    Nothing of the trace outlives this function, nor do the checkpoint's weights: parity needs the memory.
    """
    graph = optimize(trace(build_module(source), receptive_field=geometry(source.config).receptive_field))
    ranges = measure_ranges(graph, recordings) if recordings else None
    opsets = {}
    for name in precisions:
        model = converter(name, ranges)(graph)
        try:
            ir.save(model, _model_path(folder, name))
        except ValueError as error:  # protobuf refuses what exceeds its limit
            raise TraceError(f"{name}: cannot be written as one file of at most 2 GB: {error}") from error
        opsets[name] = dict(model.opset_imports)
        del model
    for value in graph.graph.initializers.values():
        value.const_value = None  # torch's caches keep the graph; without this they would keep its weights
    source.state_dict.clear()
    release_memory()
    return opsets, ranges


def _compare(
    reference: Reference, folder: Path, precisions: Sequence[str], progress: Progress
) -> Iterator[ParityReport]:
    """Yield the report of each precision; raises ParityError at the first that misses its tolerance."""
    for name in precisions:
        progress(f"compare {name} with the original")
        report = reference.compare(
            _model_path(folder, name), precision=name, tolerance=PRECISIONS[name].tolerance
        )
        report.check()
        yield report


def _build_engines(
    source: Checkpoint,
    folder: Path,
    precisions: Sequence[str],
    options: EngineOptions | None,
    progress: Progress,
) -> tuple[BuiltEngine, ...]:
    if options is None:
        return ()
    return tuple(
        build_engines(
            folder,
            precisions,
            options,
            sample_rate_hz=source.sample_rate_hz,
            min_samples=geometry(source.config).min_samples,
            progress=progress,
        )
    )


def _check_golden(folder: Path, precisions: Sequence[str]) -> None:
    bundle = open_bundle(folder)
    for name in precisions:
        result = check_golden(bundle, name)
        if not result.passed:
            raise ParityError(f"{name}: the runtime misses the golden utterance by {result.max_abs:.2e}")


def _model_path(folder: Path, precision: str) -> Path:
    return folder / f"model.{precision}.onnx"


def _manifest(
    source: Checkpoint,
    folder: Path,
    *,
    ctc: CtcEntry | None,
    reference: Reference,
    reports: Sequence[ParityReport],
    opsets: dict[str, dict[str, int]],
) -> Manifest:
    shape = geometry(source.config)
    return Manifest(
        name=source.name,
        task=source.task,
        family=source.config.model_type,
        sample_rate_hz=source.sample_rate_hz,
        receptive_field=shape.receptive_field,
        stride=shape.stride,
        min_samples=shape.min_samples,
        num_outputs=reference.golden.expected.shape[-1],
        ctc=ctc,
        precisions={
            report.precision: PrecisionEntry(
                file=_model_path(folder, report.precision).name,
                opset=opsets[report.precision][""],
                domains=tuple(sorted(filter(None, opsets[report.precision]))),
                tolerance=report.tolerance,
                parity=report.evidence,
            )
            for report in reports
        },
        files=hash_files(folder),
        provenance=Provenance(
            checkpoint=source.origin,
            checkpoint_sha256=source.sha256,
            versions={package: importlib.metadata.version(package) for package in _PACKAGES},
        ),
    )
