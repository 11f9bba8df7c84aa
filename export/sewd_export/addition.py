"""`add`: more precisions for a bundle that exists."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import onnx_ir as ir

from sewd_export.checkpoint.loading import Checkpoint
from sewd_export.conversion import Recordings, convert
from sewd_export.exporter import Exported, check_options, finish, run_original
from sewd_export.precisions import REFERENCE
from sewd_export.precisions.attempts import Attempts
from sewd_export.progress import Progress, no_progress
from sewd_export.refusals import check_added
from sewd_export.staging import staged
from sewd_export.verification import load_original
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.bundle.manifest import model_file


def add(
    bundle: str | Path,
    checkpoint: str | Path | None = None,
    *,
    precisions: Sequence[str],
    audio: str | Path | None = None,
    evaluate: str | Path | None = None,
    max_wer_increase: float | None = None,
    calibrate: str | Path | None = None,
    strict: bool = False,
    progress: Progress = no_progress,
) -> Exported:
    """Bring precisions into a bundle that exists, each verified as by `export`; all else stays as it is.

    They are made from the bundle's own float32 model. checkpoint: None takes the one that the bundle names.
    The other arguments are those of `export`, but the bundle is written only if a precision was added.
    Raises ExportError, also if the bundle has one of them; BundleError.
    """
    names = check_options(precisions, evaluate, max_wer_increase, is_calibrated=calibrate is not None)
    opened = open_bundle(Path(bundle))
    attempts = Attempts(check_added(opened, names), strict=strict)
    progress("check the bundle's files")
    opened.verify()
    progress("load the checkpoint")
    loaded = load_original(opened, checkpoint)
    with staged(opened.path) as folder:
        recordings = Recordings.read(
            loaded, calibrate=calibrate, evaluate=evaluate, max_wer_increase=max_wer_increase
        )
        for name in opened.manifest.files:
            shutil.copyfile(opened.path / name, folder / name)
        graph, reference = partial(_load, loaded, folder), run_original(loaded, audio, progress)
        converted = convert(graph, folder, attempts, reference, recordings, progress)
        attempts.require_some()
        old = opened.manifest
        failed = {name: why for name, why in old.failed.items() if name not in converted.entries}
        manifest = replace(
            old,
            precisions={**old.precisions, **converted.entries},
            failed={**failed, **attempts.failed},
        )
        manifest = finish(manifest, folder, attempts, progress)
    return Exported.of(opened.path, manifest, converted, attempts)


def _load(checkpoint: Checkpoint, folder: Path) -> ir.Model:
    """Return the bundle's float32 graph, and let go of the checkpoint's weights."""
    checkpoint.state_dict.clear()
    return ir.load(folder / model_file(REFERENCE))
