"""The model of a command that takes audio: which one, and how it runs."""

import argparse
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from sewd_runtime.bundle.folder import DIGITS
from sewd_runtime.commands._command import WHICH_BUNDLE, complain, parse_count
from sewd_runtime.errors import FallbackWarning, PrecisionWarning, ProviderError
from sewd_runtime.inference.auto import AUTO
from sewd_runtime.inference.providers import PROVIDERS, look_up
from sewd_runtime.model import Kind
from sewd_runtime.system.machine import max_threads
from sewd_runtime.system.terminal import printable


def add_model(command: argparse.ArgumentParser, *, default: str = DIGITS, workers: bool = False) -> None:
    """Add ``--model`` and how it runs. default: the embedded model; workers: of many recordings too."""
    group = command.add_argument_group("model")
    group.add_argument("--model", metavar="BUNDLE", help=f"{WHICH_BUNDLE} (default: {default})")
    add_variant(group, default="what the provider prefers: fp32, on GPUs fp16")
    add_running(group)
    if workers:
        add_workers(group)


def add_workers(group: argparse._ActionsContainer) -> None:
    """Add ``--workers``."""
    text = (
        "batches run at once, on --threads each (default: of many or long recordings, one a core; CPU only)"
    )
    group.add_argument("--workers", type=parse_threads, metavar="N", help=text)


def add_running(group: argparse._ActionsContainer) -> None:
    """Add ``--threads``, ``--allow-fallback`` and ``--provider-option``."""
    add_threads(group)
    group.add_argument(
        "--allow-fallback", action="store_true", help="let the CPU run what the provider cannot, and warn"
    )
    group.add_argument(
        "--provider-option",
        type=_parse_option,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the provider's library, e.g. gpu_mem_limit=4000000000; may be repeated",
    )


def add_variant(group: argparse._ActionsContainer, *, default: str, auto: bool = True) -> None:
    """Add ``--precision`` and ``--provider``; default: the precision that runs without the option."""
    remark = f"; {AUTO}: the fastest here, measured once" if auto else ""
    group.add_argument("--precision", metavar="P", help=f"one of the bundle{remark} (default: {default})")
    add_provider(group, auto=auto)


def add_provider(group: argparse._ActionsContainer, *, auto: bool = True) -> None:
    """Add ``--provider``."""
    others = (AUTO,) if auto else ()
    remark = f"; {AUTO}: the fastest here, measured once" if auto else ""
    provider = group.add_argument(
        "--provider",
        type=partial(_parse_provider, others=others),
        metavar="NAME",
        default="cpu",
        help=f"{', '.join(PROVIDERS)}{remark} (default: cpu)",
    )
    vars(provider)["completer"] = lambda **_: (*PROVIDERS, *others)  # for argcomplete


def add_threads(group: argparse._ActionsContainer) -> None:
    """Add ``--threads``."""
    text = "CPU threads (default: one for each core that may be used)"
    group.add_argument("--threads", type=parse_threads, metavar="N", help=text)


def parse_threads(text: str) -> int:
    """Read a number of threads that this machine can bear."""
    threads = parse_count(text)
    if threads > max_threads():
        raise argparse.ArgumentTypeError(f"{text} is above {max_threads()}, 8 for each core of this machine")
    return threads


def load_model(options: argparse.Namespace, kind: type[Kind]) -> Kind:
    """Load the model as a class of models; raises TaskError for one of another task.

    What ``auto`` chose and any warnings go to standard error, a line each.
    """
    with _logged(), warnings.catch_warnings(record=True) as caught:
        for category in (PrecisionWarning, FallbackWarning):
            warnings.simplefilter("always", category)  # not only once a place
        model = kind.load(
            options.model,
            precision=options.precision,
            provider=options.provider,
            threads=options.threads,
            workers=getattr(options, "workers", None) or 1,
            allow_fallback=options.allow_fallback,
            provider_options=dict(options.provider_option),
        )
    for warning in caught:
        complain(str(warning.message))
    return model


def _parse_provider(name: str, others: tuple[str, ...]) -> str:
    """Return the name of a provider, or one of some other names."""
    if name not in others:
        try:
            look_up(name)
        except ProviderError as error:
            raise argparse.ArgumentTypeError(f"{error}; all: {', '.join((*PROVIDERS, *others))}") from None
    return name


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(" ".join(super().format(record).split()))


@contextmanager
def _logged() -> Iterator[None]:
    log, handler = logging.getLogger("sewd"), logging.StreamHandler()
    handler.setFormatter(_OneLine("sewd: %(message)s"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)


def _parse_option(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value
