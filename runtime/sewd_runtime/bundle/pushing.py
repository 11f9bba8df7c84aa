"""Upload a bundle to the Hugging Face Hub."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sewd_runtime import __version__
from sewd_runtime.bundle.card import CARD_NAME, is_unedited, write_card
from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.bundle.hub import Repository, explain_hub_error
from sewd_runtime.bundle.manifest import MANIFEST_NAME
from sewd_runtime.errors import HubError, MissingPackageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What was uploaded: the commit's page, and whether a card that somebody edited was left as it is."""

    url: str
    kept_card: bool


def push(bundle: Bundle, hub_id: str, *, private: bool = False, replace_card: bool = False) -> Pushed:
    """Upload a bundle's files and a model card in one commit; the repository is made if there is none.

    private: of a new repository; one that exists must be private already.
    replace_card: also replace a card that ``push`` did not write, or that was edited since.
    Raises BundleError for a bad file, HubError, MissingPackageError. Nothing is uploaded then.
    """
    bundle.verify()
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise MissingPackageError(f"to push, install pip install 'sewd[hub]' ({error})") from error
    try:
        return _push(
            HfApi(library_name="sewd", library_version=__version__), bundle, hub_id, private, replace_card
        )
    except HubError:
        raise
    except Exception as error:  # the network, the Hub and its client each raise their own
        _, reason = explain_hub_error(error, Repository(hub_id))
        raise HubError(f"{hub_id}: nothing was uploaded; the Hub: {reason}") from error


def _push(api: Any, bundle: Bundle, hub_id: str, private: bool, replace_card: bool) -> Pushed:
    from huggingface_hub import CommitOperationAdd

    names = [MANIFEST_NAME, *sorted(bundle.manifest.files)]
    there = _find(api, hub_id)
    kept_card = False
    if there is None:
        api.create_repo(hub_id, private=private or None)
    else:
        _check(there, hub_id, names, private)
        kept_card = not replace_card and not _may_replace_card(api, there)
    files: dict[str, Path | bytes] = {name: bundle.path / name for name in names}
    if not kept_card:
        files[CARD_NAME] = write_card(bundle.manifest, hub_id, _base(api, bundle)).encode()
    commit = api.create_commit(
        hub_id,
        [CommitOperationAdd(name, content) for name, content in files.items()],
        commit_message=f"Upload {bundle.manifest.name} with sewd {__version__}",
        parent_commit=there.sha if there else None,
    )
    return Pushed(url=str(commit.commit_url), kept_card=kept_card)


def _find(api: Any, hub_id: str) -> Any:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        return api.model_info(hub_id)
    except GatedRepoError:
        raise
    except RepositoryNotFoundError:
        return None


def _check(there: Any, hub_id: str, names: list[str], private: bool) -> None:
    """Raise HubError for a repository whose files are not a bundle's, or that all can read."""
    present = {file.rfilename for file in there.siblings}
    others = sorted(present & set(names))
    if others and MANIFEST_NAME not in present:
        raise HubError(f"{hub_id}: holds no bundle, but {', '.join(others)}; push to a repository of its own")
    if private and not there.private:
        raise HubError(f"{hub_id}: exists and is public; make it private on the Hub, or leave out --private")


def _may_replace_card(api: Any, there: Any) -> bool:
    if CARD_NAME not in {file.rfilename for file in there.siblings}:
        return True
    path = Path(api.hf_hub_download(there.id, CARD_NAME, revision=there.sha))
    return is_unedited(path.read_text(encoding="utf-8", errors="replace"))


def _base(api: Any, bundle: Bundle) -> Any:
    """Return the metadata of the checkpoint's card; None where that is not on the Hub."""
    origin = Repository.from_text(bundle.manifest.provenance.checkpoint)
    with suppress(Exception):  # its licence and language are then unknown
        return api.model_info(origin.hub_id, revision=origin.revision).card_data if origin else None
    return None
