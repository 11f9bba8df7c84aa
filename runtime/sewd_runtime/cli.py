"""The ``sewd`` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType, ModuleType

import sewd_runtime
from sewd_runtime.commands import align, bench, classify, doctor, inspect, lm, stream, transcribe
from sewd_runtime.commands._shared import BROKEN_PIPE, EXIT_CODES, INTERRUPTED, NO_MODEL, complain
from sewd_runtime.errors import SewdError

COMMANDS: Mapping[str, ModuleType] = MappingProxyType(
    {
        "transcribe": transcribe,
        "align": align,
        "stream": stream,
        "classify": classify,
        "inspect": inspect,
        "bench": bench,
        "lm": lm,
        "doctor": doctor,
    }
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    # A file name or a label may hold what the terminal cannot show.
    for output in (sys.stdout, sys.stderr):
        if hasattr(output, "reconfigure"):
            output.reconfigure(errors="backslashreplace")
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except (SewdError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            # Python flushes stdout once more when it ends; give it somewhere to write to.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return BROKEN_PIPE
        complain(error)
        return NO_MODEL
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    text = "Run exported SEW-D speech models."
    parser = argparse.ArgumentParser(prog="sewd", description=text, epilog=EXIT_CODES, formatter_class=shape)
    parser.add_argument("--version", action="version", version=f"sewd {sewd_runtime.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            epilog=module.EPILOG,
            formatter_class=shape,
        )
        command.set_defaults(run=module.run)
        module.add_arguments(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
