"""``sewd inspect``."""

from __future__ import annotations

import argparse

from sewd_runtime.commands._shared import DONE, EXIT_CODES, SOME_FAILED, WHICH_MODEL, add_choice
from sewd_runtime.inference.inspection import inspect_bundle

HELP = "Show a bundle, check its hashes, rerun its golden utterance."
EPILOG = EXIT_CODES


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    command.add_argument("model", nargs="?", metavar="BUNDLE", help=WHICH_MODEL)
    add_choice(command, every_precision=True)


def run(options: argparse.Namespace) -> int:
    """Write the report and return the exit code: whether every check passed."""
    passed = True
    report = inspect_bundle(
        options.model, precision=options.precision, provider=options.provider, threads=options.threads
    )
    for line, ok in report:
        print(line, flush=True)
        passed = passed and ok
    return DONE if passed else SOME_FAILED
