"""The ``sewd`` command."""

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

from sewd_runtime import __version__
from sewd_runtime.commands._command import (
    BROKEN_PIPE,
    DONE,
    EXIT_CODES,
    INTERRUPTED,
    NO_MODEL,
    SOME_FAILED,
    Parser,
    add_command,
    complain,
)
from sewd_runtime.errors import AudioWarning, SewdError, TextWarning
from sewd_runtime.system.interrupted_runs import stop_runs_on_interrupt
from sewd_runtime.system.signals import sigterm_as_interrupt
from sewd_runtime.system.standard_streams import ClosedOutput, replace_closed_streams
from sewd_runtime.system.terminal import can_redraw, set_encoding

COMMANDS = (
    *("transcribe", "align", "stream", "classify", "encode", "evaluate"),
    *("inspect", "bench", "lm", "doctor", "push"),
)
"""The modules of ``sewd_runtime.commands``, in the order of the help."""

PLUGINS = "sewd.commands"
"""The entry point group in which other packages add commands: modules like those in ``commands``."""

_COMPLETION = """\
tab completion (needs sewd[cli]), in the shell's start-up file:
  bash, zsh  eval "$(register-python-argcomplete sewd)"
  fish       register-python-argcomplete --shell fish sewd | source
"""


@sigterm_as_interrupt()
@stop_runs_on_interrupt()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; SystemExit for wrong usage and after ``--help``."""
    replace_closed_streams()
    arguments = sys.argv[1:] if arguments is None else arguments
    set_encoding()
    if not can_redraw(sys.stderr):
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    parser = _parser(_find_commands(arguments))
    if "_ARGCOMPLETE" in os.environ:  # set by the shell's completion function
        with suppress(ImportError):
            import_module("argcomplete").autocomplete(parser)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:  # argparse would show the usage of `sewd`
        getattr(options, "error", parser.error)(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        with _shown_warnings():
            code: int = options.run(options)
        sys.stdout.flush()
    except (SewdError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            # Python flushes stdout once more when it ends; give it somewhere to write to.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return BROKEN_PIPE
        complain(error)
        return SOME_FAILED if isinstance(sys.stdout, ClosedOutput) else NO_MODEL
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


@contextmanager
def _shown_warnings() -> Iterator[None]:
    """Write each warning about texts and audio to standard error as a line; others appear as usual."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, (TextWarning, AudioWarning)):
                complain(str(message))
            else:
                usual(message, category, *place, **more)

        warnings.showwarning = show
        for category in (TextWarning, AudioWarning):
            warnings.simplefilter("always", category)
        yield


def _find_commands(arguments: Sequence[str]) -> Mapping[str, ModuleType]:
    """Return the command that is asked for; for help, completion and other packages' commands, all of them.

    Importing only what is needed keeps the command fast to start.
    """
    first = arguments[0] if arguments else ""
    if first == "--version":
        return {}
    names = (first,) if first in COMMANDS else COMMANDS
    commands = {name: import_module(f"sewd_runtime.commands.{name}") for name in names}
    if first not in COMMANDS:
        from importlib.metadata import entry_points  # slow to import

        commands |= {entry.name: entry.load() for entry in entry_points(group=PLUGINS)}
    return commands


def _parser(commands: Mapping[str, ModuleType]) -> argparse.ArgumentParser:
    parser = Parser(
        prog="sewd",
        description="Run exported SEW-D speech models.",
        epilog=f"{_COMPLETION}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sewd {__version__}")
    parser.set_defaults(run=partial(_print_help, parser))
    subparsers = parser.add_subparsers(metavar="COMMAND")
    for name, module in commands.items():
        command = add_command(subparsers, name, text=module.HELP, examples=module.EXAMPLES)
        command.set_defaults(run=module.run)
        module.add_arguments(command)
    return parser


def _print_help(parser: argparse.ArgumentParser, _: argparse.Namespace) -> int:
    parser.print_help()
    return DONE


if __name__ == "__main__":
    sys.exit(main())
