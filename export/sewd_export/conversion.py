"""Make every precision of an export from one graph, bound its errors, and compare it with the original."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.bundle import write_sensitivities
from sewd_export.checkpoint.loading import Checkpoint
from sewd_export.errors import TraceError
from sewd_export.parity.reference import Reference
from sewd_export.parity.report import ParityReport
from sewd_export.precisions import PRECISIONS, calibrated_inputs, converter
from sewd_export.precisions.attempts import Attempts
from sewd_export.progress import Progress
from sewd_export.search.calibration import measure_ranges, read_calibration
from sewd_export.search.evaluation import Evaluation
from sewd_export.search.mixed import keep_sensitive
from sewd_runtime.bundle.manifest import PrecisionEntry, model_file
from sewd_runtime.bundle.sensitivity import Sensitivity

if TYPE_CHECKING:
    from sewd_export.precisions import Ranges

Opsets = dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """What the user's recordings are for.

    calibration: measure ranges on them, each `(samples,)` float32. evaluation: bound word errors on them.
    """

    calibration: tuple[NDArray[np.float32], ...] = ()
    evaluation: Evaluation | None = None

    @classmethod
    def read(
        cls,
        checkpoint: Checkpoint,
        *,
        calibrate: str | Path | None,
        evaluate: str | Path | None,
        max_wer_increase: float | None,
    ) -> Recordings:
        """Read the folders; raises ExportError, see `read_calibration` and `Evaluation.read`."""
        calibration: tuple[NDArray[np.float32], ...] = ()
        evaluation = None
        if calibrate is not None:
            rate_hz, min_samples = checkpoint.sample_rate_hz, checkpoint.geometry.min_samples
            calibration = read_calibration(Path(calibrate), sample_rate_hz=rate_hz, min_samples=min_samples)
        if evaluate is not None and max_wer_increase is not None:
            evaluation = Evaluation.read(Path(evaluate), checkpoint, max_increase=max_wer_increase)
        return cls(calibration=calibration, evaluation=evaluation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """The precisions that are in the folder, and how all of them compared, the failed ones too.

    sensitivities: precision → what it keeps in float32 and why, if the increase of errors was bounded.
    """

    entries: Mapping[str, PrecisionEntry]
    reports: tuple[ParityReport, ...]
    sensitivities: Mapping[str, Sensitivity]


def convert(
    make_graph: Callable[[], ir.Model],
    folder: Path,
    attempts: Attempts,
    reference: Reference,
    recordings: Recordings,
    progress: Progress,
) -> Converted:
    """Write the model of each precision that is within its tolerance, and of no other.

    make_graph: makes the optimised float32 graph; it is not kept, because comparing takes memory.
    """
    opsets, ranges = write_models(make_graph, folder, attempts, recordings=recordings.calibration)
    sensitivities: Mapping[str, Sensitivity] = {}
    if recordings.evaluation is not None:
        able = [name for name in attempts.good if PRECISIONS[name].matmuls]
        converters = {name: converter(name, ranges) for name in able}
        sensitivities = keep_sensitive(
            folder, converters, recordings.evaluation, attempts=attempts, progress=progress
        )
        release_memory()
    reports = _compare(reference, folder, attempts, progress)
    sensitivities = {name: found for name, found in sensitivities.items() if name in attempts.good}
    write_sensitivities(folder, sensitivities)
    for name in attempts.failed:
        (folder / model_file(name)).unlink(missing_ok=True)
    return Converted(
        entries={
            report.precision: _entry(report, opsets[report.precision], ranges)
            for report in reports
            if report.precision in attempts.good
        },
        reports=reports,
        sensitivities=sensitivities,
    )


def write_models(
    make_graph: Callable[[], ir.Model],
    folder: Path,
    attempts: Attempts,
    *,
    recordings: Sequence[NDArray[np.float32]] = (),
) -> tuple[dict[str, Opsets], Ranges | None]:
    """Write one model per precision; return the opsets of each, and the ranges measured on the recordings, if
    any.

    Afterwards the graph's weights are no longer in memory: parity needs it.
    """
    graph = make_graph()
    ranges = None
    if recordings:
        ranges = measure_ranges(graph, calibrated_inputs(graph, attempts.good), recordings)
    opsets = {}
    for name in attempts.good:
        with attempts.of(name):
            model = converter(name, ranges)(graph)
            try:
                ir.save(model, folder / model_file(name))
            except ValueError as error:  # protobuf refuses a file over its limit
                raise TraceError(f"{name}: cannot be written as one file of at most 2 GB: {error}") from error
            opsets[name] = dict(model.opset_imports)
            del model
    for value in graph.graph.initializers.values():
        value.const_value = None  # torch's caches keep the graph; without this they would keep its weights
    release_memory()
    return opsets, ranges


def _compare(
    reference: Reference, folder: Path, attempts: Attempts, progress: Progress
) -> tuple[ParityReport, ...]:
    """Return the report of each precision that runs; those that miss their tolerance have failed."""
    reports = []
    for name in attempts.good:
        progress(f"compare {name} with the original")
        with attempts.of(name):
            tolerance = PRECISIONS[name].tolerance
            report = reference.compare(folder / model_file(name), precision=name, tolerance=tolerance)
            reports.append(report)
            report.check()
    return tuple(reports)


def _entry(report: ParityReport, opsets: Opsets, ranges: Ranges | None) -> PrecisionEntry:
    can_calibrate = PRECISIONS[report.precision].calibrated_inputs is not None
    return PrecisionEntry(
        file=model_file(report.precision),
        opset=opsets[""],
        domains=tuple(sorted(filter(None, opsets))),
        calibrated=ranges is not None if can_calibrate else None,
        tolerance=report.tolerance,
        parity=report.evidence,
    )


def release_memory() -> None:
    """Collect garbage and return free pages to the system.

    After a minute of audio glibc keeps about 250 MB of freed activations, which would add to the next peak.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
