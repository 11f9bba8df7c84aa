"""Models on the Hugging Face Hub: files fetched into its cache, and its errors explained."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from sewd_runtime import __version__
from sewd_runtime.bundle.manifest import MANIFEST_NAME
from sewd_runtime.errors import (
    BundleError,
    BundleFileMissingError,
    BundleNotFoundError,
    HubError,
    MissingPackageError,
)

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
"""Owner and name of a repository."""

_REFUSED = (401, 403)
_LOG = logging.getLogger("sewd")


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of the Hub at a revision: a branch, a tag or a commit; None: its main branch."""

    hub_id: str
    revision: str | None = None

    def __str__(self) -> str:
        """Return what the user writes: ``owner/name@revision``."""
        return self.hub_id if self.revision is None else f"{self.hub_id}@{self.revision}"

    @classmethod
    def from_text(cls, text: str) -> "Repository | None":
        """Return the repository that ``owner/name`` or ``owner/name@revision`` names; None for other text."""
        hub_id, at, revision = text.partition("@")
        is_one = HUB_ID.fullmatch(hub_id) is not None and bool(revision) == bool(at)
        return cls(hub_id, revision or None) if is_one else None

    def fetch_manifest(self) -> Path:
        """Return the bundle's folder in the Hub's cache, with the manifest of this revision.

        Without a network it is the one that was fetched last. Raises MissingPackageError, HubError, and
        BundleNotFoundError if there is no such bundle.
        """
        return self._fetch(MANIFEST_NAME, self.revision).parent

    def fetch_file(self, folder: Path, name: str) -> None:
        """Fetch a file of the bundle into its folder in the cache, of the same commit as its manifest.

        Raises BundleFileMissingError, HubError.
        """
        _LOG.info("fetching %s of %s", name, self)
        self._fetch(name, folder.name)

    def _fetch(self, name: str, revision: str | None) -> Path:
        try:
            from huggingface_hub import hf_hub_download  # slow to import
        except ImportError as error:
            raise MissingPackageError(
                f"{self}: no such folder; a bundle on the Hugging Face Hub needs "
                f"pip install 'sewd[hub]' ({error}); a checkpoint there: sewd-export {self.hub_id} -o BUNDLE"
            ) from error
        try:
            return Path(
                hf_hub_download(
                    self.hub_id,
                    name,
                    revision=revision,
                    library_name="sewd",
                    library_version=__version__,
                )
            )
        except Exception as error:  # the network, the Hub and its client each raise their own
            raise self._named(error, name) from error

    def _named(self, error: Exception, name: str) -> BundleError:
        """Return the error that says what is missing, and what to do."""
        from huggingface_hub.errors import EntryNotFoundError

        is_absent, reason = explain_hub_error(error, self)
        if name != MANIFEST_NAME:
            return (BundleFileMissingError if is_absent else HubError)(f"{name} of {self}: {reason}")
        if is_absent and isinstance(error, EntryNotFoundError) and not isinstance(error, FileNotFoundError):
            reason = f"no {name}; a checkpoint is exported first: sewd-export {self.hub_id} -o BUNDLE"
            return BundleNotFoundError(f"{self}: the repository holds no bundle: it has {reason}")
        reason = f"{self}: no such folder, and on the Hub: {reason}"
        return (BundleNotFoundError if is_absent else HubError)(reason)


def explain_hub_error(error: Exception, repository: Repository) -> tuple[bool, str]:
    """Return whether something is not there, and what to do about an error of huggingface_hub."""
    from huggingface_hub import constants, errors

    if isinstance(error.__cause__, errors.HfHubHTTPError):
        error = error.__cause__  # what the Hub answered
    match error:
        case errors.GatedRepoError():
            page = f"{constants.ENDPOINT}/{repository.hub_id}"
            return False, f"access is given on request: ask for it at {page}, then log in: hf auth login"
        case errors.RepositoryNotFoundError():
            return True, "no such repository; if it is private, log in: hf auth login"
        case errors.RevisionNotFoundError():
            return True, f"the repository has no revision {repository.revision!r}"
        case errors.LocalEntryNotFoundError():
            why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "it cannot be reached"
            return True, f"{why}, and its cache here has no such file; fetch it once with a network"
        case errors.EntryNotFoundError():
            return True, "the repository has no such file"
        case errors.HfHubHTTPError():
            status = error.response.status_code
            login = "; log in: hf auth login" if status in _REFUSED else ""
            return False, f"it answered {status}: {error.server_message or _first_line(error)}{login}"
    causes = [error] if error.__cause__ is None else [error, error.__cause__]
    return False, " ".join(map(_first_line, causes))


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
