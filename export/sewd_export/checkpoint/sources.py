"""Find a checkpoint: a folder, a Hugging Face hub id, or the model in the package."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sewd_export.errors import CheckpointError, CheckpointNotFoundError

EMBEDDED = "digits"
_EMBEDDED_FOLDER = Path(__file__).parents[1] / "models" / EMBEDDED

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_CONFIGS = ["*config.json", "vocab.json", "added_tokens.json", "special_tokens_map.json"]
_SAFETENSORS = ["model*.safetensors", "model.safetensors.index.json"]
_PICKLES = ["pytorch_model*.bin", "pytorch_model.bin.index.json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A folder that should hold a checkpoint.

    name: short, fit for a file name.
    origin: what finds it again: a hub id, `digits`, or a folder's name, never a path: it is written into
        the bundle.
    """

    name: str
    origin: str
    folder: Path


def find_source(source: str | Path | None, *, revision: str | None = None) -> Source:
    """Return the folder of a checkpoint; one on the hub is downloaded unless it is cached.

    source: None or `digits`, the model in the package (`./digits` is a folder); a folder; a hub id.
    revision: a branch, tag or commit of a hub id.
    Raises CheckpointNotFoundError that says what was tried; CheckpointError for a folder with a revision.
    """
    if source is None or source == EMBEDDED:
        origin = _embedded()
    elif source != "" and Path(source).is_dir():
        folder = Path(source).resolve()
        _refuse_training_output(folder)
        origin = Source(name=folder.name, origin=folder.name, folder=folder)
    else:
        return _from_hub(str(source), revision)
    if revision is not None:
        raise CheckpointError(f"{origin.folder}: a folder has no revision {revision!r}; leave it out")
    return origin


def _refuse_training_output(folder: Path) -> None:
    """Raise CheckpointNotFoundError for a folder that holds checkpoints and is none itself."""
    checkpoints = sorted(path.name for path in folder.glob("checkpoint-*"))
    if checkpoints and not (folder / "config.json").exists():
        raise CheckpointNotFoundError(
            f"{folder}: holds checkpoints and is none itself; name one of them: {', '.join(checkpoints[:10])}"
        )


def _embedded() -> Source:
    if not (_EMBEDDED_FOLDER / "config.json").is_file():
        raise CheckpointNotFoundError(
            f"there is no embedded model {EMBEDDED!r} in {_EMBEDDED_FOLDER}; name a folder or a hub id, or "
            f"./{EMBEDDED} for a folder of that name"
        )
    return Source(name=EMBEDDED, origin=EMBEDDED, folder=_EMBEDDED_FOLDER)


def _from_hub(hub_id: str, revision: str | None) -> Source:
    if hub_id and Path(hub_id).exists():
        raise CheckpointNotFoundError(f"{hub_id} is a file; name the folder that holds it")
    if not _HUB_ID.fullmatch(hub_id):
        raise CheckpointNotFoundError(
            f"{hub_id}: no such folder, and a hub id has the form owner/name; correct the name"
        )
    try:
        folder = _download(hub_id, revision)
    except Exception as error:  # the network, the hub and its client each raise their own
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        at = f" at revision {revision}" if revision else ""
        raise CheckpointNotFoundError(
            f"{hub_id}: no such folder, and neither the hub nor its local cache has it{at}: {reason}"
        ) from error
    return Source(name=hub_id.split("/")[1], origin=hub_id, folder=folder)


def _download(hub_id: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download  # slow to import

    folder = Path(snapshot_download(hub_id, revision=revision, allow_patterns=_CONFIGS + _SAFETENSORS))
    if not any(folder.glob("model*.safetensors")):
        folder = Path(snapshot_download(hub_id, revision=revision, allow_patterns=_CONFIGS + _PICKLES))
    return folder
