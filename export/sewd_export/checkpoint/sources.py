"""Find a checkpoint: a folder, a Hugging Face hub id, or a model in the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sewd_export.errors import CheckpointNotFoundError
from sewd_runtime.bundle.hub import Repository, explain_hub_error
from sewd_runtime.bundle.manifest import MANIFEST_NAME
from sewd_runtime.bundle.mistakes import training_steps

EMBEDDED = ("digits", "keywords")
_MODELS = Path(__file__).parents[1] / "models"

_CONFIGS = ["*config.json", "vocab.json", "added_tokens.json", "special_tokens_map.json"]
_SAFETENSORS = ["model*.safetensors", "model.safetensors.index.json"]
_LANGUAGE_MODEL = ["language_model/*"]
_PICKLES = ["pytorch_model*.bin", "pytorch_model.bin.index.json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A folder that should hold a checkpoint.

    name: short, fit for a file name.
    origin: what finds it again: a hub id (with a revision if one was given), an embedded model, or a folder's
        name, never a path: it is written into the bundle.
    """

    name: str
    origin: str
    folder: Path


def find_source(source: str | Path | None, *, with_lm: bool = False) -> Source:
    """Return the folder of a checkpoint; one on the hub is downloaded unless it is cached.

    source: `digits` (or None) or `keywords`, in the package (`./digits` is a folder); a folder; a hub id,
        `owner/name` or `owner/name@revision`, with a branch, tag or commit.
    with_lm: download its language model too, if it has one.
    Raises CheckpointNotFoundError that says what was tried.
    """
    if source is None or source in EMBEDDED:
        return _embedded(EMBEDDED[0] if source is None else str(source))
    if mistake := explain(source):
        raise CheckpointNotFoundError(mistake)
    if Path(source).is_dir():
        folder = Path(source).resolve()
        return Source(name=folder.name, origin=folder.name, folder=folder)
    return _from_hub(str(source), with_lm=with_lm)


def explain(source: str | Path | None) -> str | None:
    """Return why a name cannot be that of a checkpoint, as far as is known without the Hub."""
    if source is None or source in EMBEDDED:
        return None
    name, given = str(source), Path(source)
    if not name:
        return "the name is empty; give a folder or a hub id"
    if "://" in name:
        return f"{name}: an address; give the hub id, owner/name, or a folder"
    if given.is_dir():
        return _explain_folder(given)
    if given.exists():
        return f"{name} is a file; name the folder that holds it"
    if Repository.from_text(name) is None:
        return f"{name}: no such folder, and a hub id has the form owner/name; correct the name"
    return None


def _explain_folder(folder: Path) -> str | None:
    if (folder / MANIFEST_NAME).exists() and not any(
        path.suffix in (".safetensors", ".bin") and path.stem != "lm" for path in folder.iterdir()
    ):
        return f"{folder}: a bundle, exported already; --verify and --bundle take it"
    if (checkpoints := training_steps(folder)) and not (folder / "config.json").exists():
        shown = ", ".join(checkpoints[-10:])
        return f"{folder}: holds checkpoints and is none itself; name one of them: {shown}"
    return None


def _embedded(name: str) -> Source:
    folder = _MODELS / name
    if not (folder / "config.json").is_file():
        raise CheckpointNotFoundError(
            f"there is no embedded model {name!r} in {folder.parent}; name a folder or a hub id, or "
            f"./{name} for a folder of that name"
        )
    return Source(name=name, origin=name, folder=folder)


def _from_hub(source: str, *, with_lm: bool) -> Source:
    repository = Repository.from_text(source)
    assert repository is not None  # see `explain`
    try:
        folder = _download(repository, _CONFIGS + (_LANGUAGE_MODEL if with_lm else []))
    except Exception as error:  # the network, the hub and its client each raise their own
        _, reason = explain_hub_error(error, repository)
        raise CheckpointNotFoundError(f"{source}: no such folder, and on the Hub: {reason}") from error
    return Source(name=repository.hub_id.split("/")[1], origin=source, folder=folder)


def _download(repository: Repository, patterns: list[str]) -> Path:
    from huggingface_hub import snapshot_download  # slow to import

    hub_id, revision = repository.hub_id, repository.revision
    folder = Path(snapshot_download(hub_id, revision=revision, allow_patterns=patterns + _SAFETENSORS))
    if not any(folder.glob("model*.safetensors")):
        folder = Path(snapshot_download(hub_id, revision=revision, allow_patterns=patterns + _PICKLES))
    return folder
