"""``--skip-existing`` and ``--resume``: what an earlier run has done is not done again."""

import argparse
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from sewd_runtime.commands._command import complain
from sewd_runtime.commands._long_files import LongFiles
from sewd_runtime.commands._transcripts import beside, describe_output
from sewd_runtime.system.outputs import OutputFolder
from sewd_runtime.text.formats import FORMATS


def skip_existing(options: argparse.Namespace) -> None:
    """Leave out the files that have an output, whatever is in it."""
    ending = FORMATS[options.format].ending
    _skip(options, lambda name: beside(options.output, name, ending).exists())


def skip_made(options: argparse.Namespace, source: Callable[[str], str]) -> None:
    """Leave out the files whose output was made from the same ``source`` and has not changed."""
    folder, ending = OutputFolder(options.output), FORMATS[options.format].ending
    _skip(options, lambda name: folder.is_made(beside(options.output, name, ending), source(name)))


def source_of(options: argparse.Namespace, long_files: LongFiles) -> Callable[[str], str]:
    """Return a function that returns the SHA-256 of all that the output of a file depends on.

    A file is known by its path, size and time of change: reading all audio again would take as long as
    some models.
    """
    task = asdict(long_files.task("", f" {describe_output(options)}"))

    def source(name: str) -> str:
        try:
            status = Path(name).stat()
        except (OSError, ValueError):  # it will be reported; "-" has none
            return ""
        audio = [str(Path(name).absolute()), status.st_size, status.st_mtime_ns]
        return hashlib.sha256(json.dumps([task, audio]).encode()).hexdigest()

    return source


def _skip(options: argparse.Namespace, is_done: Callable[[str], bool]) -> None:
    files = [name for name in options.files if not is_done(name)]
    if len(files) < len(options.files):
        num_done, total = len(options.files) - len(files), len(options.files)
        complain(f"recordings done already: {num_done:,} of {total:,}")
    options.files = files
