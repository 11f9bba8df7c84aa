"""What commands share: exit codes, the choice of a model, how errors are told."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from sewd_runtime.errors import FallbackWarning, PrecisionWarning
from sewd_runtime.inference.providers import PROVIDERS
from sewd_runtime.model import Kind

DONE, SOME_FAILED, USAGE, NO_MODEL, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 3, 130, 141

EXIT_CODES = """\
exit codes:
  0    all done
  1    some input could not be read or run; the rest was done (inspect, doctor: a check failed)
  2    wrong usage
  3    the bundle, its precision, the provider or an extra package cannot be used
  130  interrupted
  141  the reader of the output went away
"""

WHICH_MODEL = "bundle folder or embedded model (default: digits)"


def add_model(command: argparse.ArgumentParser) -> None:
    """Add ``--model`` and how it is to run."""
    command.add_argument("--model", metavar="BUNDLE", help=WHICH_MODEL)
    add_choice(command)
    command.add_argument(
        "--allow-fallback",
        action="store_true",
        help="let the processor run what the provider cannot, and warn",
    )
    command.add_argument(
        "--provider-option",
        type=parse_option,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the provider's library, e.g. gpu_mem_limit=4000000000; may be repeated",
    )


def add_choice(command: argparse.ArgumentParser, *, every_precision: bool = False) -> None:
    """Add ``--precision``, ``--provider`` and ``--threads``."""
    default = (
        "all that the provider runs" if every_precision else "what the provider prefers: fp32, on GPUs fp16"
    )
    auto = "" if every_precision else "; auto: the fastest here, measured once"
    command.add_argument("--precision", metavar="P", help=f"of the model's{auto} (default: {default})")
    providers = ", ".join(PROVIDERS)
    command.add_argument(
        "--provider", metavar="NAME", default="cpu", help=f"{providers}{auto} (default: cpu)"
    )
    command.add_argument("--threads", type=parse_count, metavar="N", help="(default: one for each core)")


def parse_count(text: str) -> int:
    """Read a whole number of 1 or more."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a count of at least 1")
    return int(text)


def parse_option(text: str) -> tuple[str, str]:
    """Read KEY=VALUE."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def load_model(options: argparse.Namespace, kind: type[Kind]) -> Kind:
    """Load the model as a class of models; raises TaskError for one of another task.

    Writes to standard error, a line each, what ``auto`` chose and what the choice is warned of.
    """
    with _logged(), warnings.catch_warnings(record=True) as caught:
        for category in (PrecisionWarning, FallbackWarning):
            warnings.simplefilter("always", category)  # not only once a place
        model = kind.load(
            options.model,
            precision=options.precision,
            provider=options.provider,
            threads=options.threads,
            allow_fallback=options.allow_fallback,
            provider_options=dict(options.provider_option),
        )
    for warning in caught:
        print(f"sewd: {' '.join(str(warning.message).split())}", file=sys.stderr, flush=True)
    return model


@contextmanager
def _logged() -> Iterator[None]:
    log, handler = logging.getLogger("sewd"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("sewd: %(message)s"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)


def complain(error: Exception, name: str = "") -> None:
    """Write one line about an error, and the input it is about, on standard error."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    message = " ".join(reason.split()).removeprefix(f"{name}: ")
    print(f"sewd: {name}: {message}" if name else f"sewd: {message}", file=sys.stderr, flush=True)
