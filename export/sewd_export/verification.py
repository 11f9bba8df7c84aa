"""`verify`: compare an existing bundle with its checkpoint again."""

from __future__ import annotations

from pathlib import Path

from sewd_export.checkpoint.loading import Checkpoint, load_checkpoint
from sewd_export.errors import CheckpointError, CheckpointNotFoundError
from sewd_export.parity.reference import Reference
from sewd_export.parity.report import ParityReport
from sewd_export.precisions import PRECISIONS, stricter
from sewd_export.progress import Progress, no_progress
from sewd_runtime.bundle.folder import Bundle, open_bundle


def verify(
    bundle: str | Path,
    checkpoint: str | Path | None = None,
    *,
    audio: str | Path | None = None,
    progress: Progress = no_progress,
) -> tuple[ParityReport, ...]:
    """Compare an existing bundle with its checkpoint, after checking the hash of every file.

    checkpoint: None takes the one that the bundle names.
    audio: a folder of recordings to compare on as well.
    Each precision must meet the stricter of the bundle's tolerance and this version's.
    Returns one report per precision; `report.check()` raises. Raises BundleError, CheckpointError.
    """
    progress("check the bundle's files")
    opened = open_bundle(Path(bundle))
    opened.verify()
    progress("load the checkpoint")
    loaded = load_original(opened, checkpoint)
    progress("run the original")
    reference = Reference.make(loaded, audio=audio)
    reports = []
    for name, entry in opened.manifest.precisions.items():
        progress(f"compare {name} with the original")
        path = opened.path_of(entry.file)
        own = PRECISIONS[name].tolerance if name in PRECISIONS else entry.tolerance
        reports.append(reference.compare(path, precision=name, tolerance=stricter(own, entry.tolerance)))
    return tuple(reports)


def load_original(bundle: Bundle, checkpoint: str | Path | None) -> Checkpoint:
    """Load the checkpoint that a bundle was made from, None by its name there; check its sha256."""
    provenance = bundle.manifest.provenance
    loaded = _load_named(provenance.checkpoint) if checkpoint is None else load_checkpoint(checkpoint)
    if loaded.sha256 != provenance.checkpoint_sha256:
        raise CheckpointError(
            f"{loaded.folder}: sha256 {loaded.sha256[:12]}..., but {bundle.path} was made from "
            f"{provenance.checkpoint}, sha256 {provenance.checkpoint_sha256[:12]}...; name that checkpoint"
        )
    return loaded


def _load_named(origin: str) -> Checkpoint:
    try:
        return load_checkpoint(origin)
    except CheckpointNotFoundError as error:
        raise CheckpointNotFoundError(
            f"the bundle was made from {origin}, which is not found; name that checkpoint ({error})"
        ) from error
