"""What is to be done: the shards of a manifest, and those that are there; one run at a time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sewd_runtime.evaluation.counting import find_jiwer
from sewd_runtime.system.writing import open_locked
from sewd_serve.corpus.manifest import find_parquet, read_recordings
from sewd_serve.corpus.remote import check_scheme, scheme_of
from sewd_serve.corpus.shards import Cut, Shard, cut_shards
from sewd_serve.corpus.worker import Setup

_LOCK = ".sewd-corpus"


def read_shards(setup: Setup, cut: Cut) -> Iterator[Shard]:
    """Yield the shards of the manifest in order. Raises TextError, MissingPackageError, OSError."""
    return cut_shards(read_recordings(setup.options.manifest), cut, task=setup.task)


def find_names(setup: Setup, cut: Cut) -> list[str]:
    """Return the names of all shards, after checking that they can be made.

    Raises MissingPackageError for what is not installed here, and FileExistsError if the folder has shards
    of another manifest, bundle or options: a reader of the folder would take them for this corpus.
    """
    if setup.output.format == "parquet":
        find_parquet()
    names, schemes, has_references = [], set(), False
    for shard in read_shards(setup, cut):
        names.append(shard.name)
        schemes |= {scheme_of(recording.path) for recording in shard.recordings}
        has_references = has_references or any(one.reference is not None for one in shard.recordings)
    for scheme in sorted(schemes - {None}, key=str):
        check_scheme(str(scheme))
    if has_references:
        find_jiwer()
    if others := sorted(setup.output.names() - set(names)):
        more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
        fault = (
            f"has what was made of another manifest, bundle or other options: {others[0]}{more}; "
            f"choose another folder, or remove it"
        )
        raise FileExistsError(errno.EEXIST, fault, str(setup.output.folder))
    return names


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder for this run alone, and remove what killed runs left half-written in it.

    Raises BlockingIOError while another run writes to it. Some file systems have no locks; two runs then do
    the same work twice, and write the same files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = open_locked(folder / _LOCK)
    except BlockingIOError as error:
        raise BlockingIOError(error.errno, "another run is writing to it", str(folder)) from error
    try:
        for part in folder.glob(".sewd-*.part"):
            part.unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)
