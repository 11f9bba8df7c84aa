"""A bundle on disk: a manifest, and files that are checked before they are used."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from sewd_runtime.bundle.hub import Repository
from sewd_runtime.bundle.manifest import MANIFEST_NAME, FileEntry, Manifest
from sewd_runtime.bundle.mistakes import explain
from sewd_runtime.bundle.onnx_file import check_self_contained
from sewd_runtime.errors import (
    BundleError,
    BundleFileMissingError,
    BundleHashError,
    BundleNotFoundError,
    BundlePathError,
    ManifestTypeError,
)
from sewd_runtime.system.hashing import sha256_of

_MAX_MANIFEST_BYTES = 4 << 20
"""A manifest has a few kilobytes; a larger file is a mistake or an attack."""
MAX_READ_BYTES = 16 << 20
"""The largest file that is read whole; a vocabulary of a million tokens fits."""
MODELS = Path(__file__).parents[1] / "models"
DIGITS, KEYWORDS = "digits", "keywords"
"""The embedded models: a recognizer and a classifier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle's folder and its manifest; files are checked when they are used.

    repository: where a file that is not in the folder is fetched from when it is used; None: nowhere.
    """

    path: Path
    manifest: Manifest
    repository: Repository | None = None

    def path_of(self, name: str) -> Path:
        """Return the path of a file of the bundle, after checking its size and sha256.

        A model must be self-contained. Raises BundleFileMissingError, BundlePathError for a link out of the
        bundle, BundleHashError, ModelError.
        """
        path, entry = self._sized(name)
        _check_digest(path, sha256_of(path), entry)
        if path.suffix == ".onnx":
            check_self_contained(path)
        return path

    def read_bytes(self, name: str) -> bytes:
        """Return the content of a small file of the bundle, checked as in ``path_of``."""
        path, entry = self._sized(name)
        if entry.size_bytes > MAX_READ_BYTES:
            raise BundleError(
                f"{path}: has {entry.size_bytes} bytes, at most {MAX_READ_BYTES} are read; export it again"
            )
        with path.open("rb") as file:
            content = file.read(entry.size_bytes + 1)  # it may have grown meanwhile
        _check_digest(path, hashlib.sha256(content).hexdigest(), entry)
        return content

    def read_text(self, name: str) -> str:
        """Return a small UTF-8 file of the bundle, checked as in ``path_of``."""
        try:
            return self.read_bytes(name).decode()
        except UnicodeDecodeError as error:
            raise BundleError(f"{self.path / name}: not UTF-8: {error}") from error

    def verify(self) -> None:
        """Check every file of the manifest; raises the failure, or a BundleError that lists all."""
        failures: list[BundleError] = []
        for name in sorted(self.manifest.files):
            try:
                self.path_of(name)
            except BundleError as error:  # noqa: PERF203 - all failures are collected
                failures.append(error)
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise BundleError(f"{len(failures)} files are bad: {'; '.join(map(str, failures))}")

    def _sized(self, name: str) -> tuple[Path, FileEntry]:
        """Return the path of a file that has the right size, and what the manifest says of it."""
        if name not in self.manifest.files:
            raise BundleFileMissingError(f"{self.path}: the manifest has no file {name!r}")
        path, entry = self.path / name, self.manifest.files[name]
        if self.repository is not None and not path.exists():
            self.repository.fetch_file(self.path, name)
        if not path.is_file():
            raise BundleFileMissingError(
                f"{path}: missing, though the manifest names it; copy the whole folder"
            )
        _check_inside(path)
        size = path.stat().st_size
        if size != entry.size_bytes:
            raise BundleHashError(
                f"{path}: has {size} bytes, the manifest says {entry.size_bytes}; copy or export it again"
            )
        return path, entry


def _check_inside(path: Path) -> None:
    """Raise BundlePathError for a link out of the bundle, except into the blobs of a Hub cache.

    huggingface_hub stores `REPO/snapshots/REVISION/FILE` as a link to `REPO/blobs/HASH`.
    """
    folder, target = path.parent.resolve(), path.resolve()
    snapshots = [parent for parent in folder.parents if parent.name == "snapshots"]
    if target.parent not in (folder, *(parent.parent / "blobs" for parent in snapshots)):
        raise BundlePathError(f"{path}: a link out of the bundle; copy the file itself there")


def _check_digest(path: Path, digest: str, entry: FileEntry) -> None:
    if digest != entry.sha256:
        raise BundleHashError(
            f"{path}: sha256 is {digest[:12]}..., the manifest says {entry.sha256[:12]}...; "
            f"copy or export the bundle again"
        )


def open_bundle(path: str | os.PathLike[str], *, repository: Repository | None = None) -> Bundle:
    """Open a bundle: read its manifest strictly. Files are checked when they are used.

    repository: where files that are not in the folder are fetched from.
    Raises BundleNotFoundError, BundlePathError, or what ``Manifest.from_json`` raises.
    """
    folder = Path(path)
    source = folder / MANIFEST_NAME
    if not source.is_file():
        missing = f"{source} does not exist" if folder.is_dir() else "no such folder"
        raise BundleNotFoundError(explain(path) or f"{folder}: not a bundle: {missing}")
    _check_inside(source)
    with source.open("rb") as file:
        content = file.read(_MAX_MANIFEST_BYTES + 1)
    if len(content) > _MAX_MANIFEST_BYTES:
        raise ManifestTypeError(f"{source}: more than {_MAX_MANIFEST_BYTES} bytes; not a manifest")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ManifestTypeError(f"{source}: not UTF-8: {error}") from error
    return Bundle(path=folder, manifest=Manifest.from_json(text, where=str(source)), repository=repository)


def find_bundle(path: str | os.PathLike[str] | None, default: str = DIGITS) -> Bundle:
    """Open a bundle: a folder, an embedded model's name, a hub id, or None for the one called ``default``.

    The first of these that exists is taken, and only a str with one slash is a hub id, ``owner/name`` or
    ``owner/name@revision``. Raises what ``open_bundle`` raises, HubError, MissingPackageError, and
    BundleNotFoundError that lists the embedded models.
    """
    embedded = sorted(folder.parent.name for folder in MODELS.glob(f"*/{MANIFEST_NAME}"))
    if path is None:
        if not embedded:
            raise BundleNotFoundError("this installation has no embedded model; give the path of a bundle")
        return open_bundle(MODELS / (default if default in embedded else embedded[0]))
    if os.fspath(path) and Path(path).exists():
        return open_bundle(path)
    if os.fspath(path) in embedded:
        return open_bundle(MODELS / os.fspath(path))
    if mistake := explain(path):
        raise BundleNotFoundError(mistake)
    if isinstance(path, str) and (repository := Repository.from_text(path)):
        return open_bundle(repository.fetch_manifest(), repository=repository)
    names = ", ".join(embedded) or "none"
    raise BundleNotFoundError(
        f"{os.fspath(path)}: not a folder and not an embedded model; embedded are: {names}; "
        f"a checkpoint is exported first (sewd-export)"
    )
