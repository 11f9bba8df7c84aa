"""What every command shares: its parser, its exit codes, and how it reports errors. Imports no numpy."""

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from sewd_runtime.system.terminal import printable
from sewd_runtime.system.writing import find_replaced

DONE, SOME_FAILED, NO_MODEL, INTERRUPTED, BROKEN_PIPE = 0, 1, 3, 130, 141

EXIT_CODES = """\
exit codes:
  0    success
  1    some input could not be read or run, the rest was done; inspect, doctor: a check failed
  2    wrong usage
  3    the bundle, its precision, the provider or an optional package cannot be used
  130  interrupted
  141  the reader of the output closed the pipe
"""

_INPUTS = (
    *("files", "files_from", "texts", "text_file", "lm", "lexicon", "hotwords"),
    *("model", "manifest", "against"),
)
"""Options that name what is read."""

_CLOCK = re.compile(r"(?:(\d+):(?=[0-5]\d:))?(\d+):([0-5]\d(?:\.\d+)?)", re.ASCII)

WHICH_BUNDLE = "bundle folder, embedded model, or owner/name[@revision] on the Hub"
WHICH_MODEL = f"{WHICH_BUNDLE} (default: digits)"


class Parser(argparse.ArgumentParser):
    """A parser whose complaints about people's arguments are printable."""

    def error(self, message: str) -> NoReturn:
        """Write usage and message to standard error, and exit with 2."""
        super().error(printable(message))


def add_command(
    commands: "argparse._SubParsersAction[Any]", name: str, *, text: str, examples: str
) -> argparse.ArgumentParser:
    """Add the parser of a command; its ``error``, for wrong usage, is among the options that it parses."""
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=f"examples:\n{examples}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(error=command.error)
    return command


def add_bundle(command: argparse.ArgumentParser) -> None:
    """Add the bundle that a command is about, as a positional argument."""
    command.add_argument_group("input").add_argument("model", nargs="?", metavar="BUNDLE", help=WHICH_MODEL)


def add_json(output: argparse._ActionsContainer, help_text: str) -> None:
    """Add ``--json``, which sets ``format``."""
    output.add_argument(
        "--json", dest="format", action="store_const", const="json", default="text", help=help_text
    )


def refuse_inputs(options: argparse.Namespace, outputs: Iterable[Path]) -> None:
    """Exit with wrong usage if a file that the command reads would be replaced by one that it writes."""
    inputs: list[str | Path] = []
    for name in _INPUTS:
        value = getattr(options, name, None)
        inputs += value if isinstance(value, list) else [] if value is None else [value]
    replaced = find_replaced(outputs, inputs)
    if replaced is not None:
        options.error(f"{replaced}: the output would replace a file that is read; give it another name")


def output_file(*endings: str) -> Callable[[str], Path]:
    """Return a parser of the path of an output with one of some endings, in a folder that exists."""

    def parse(text: str) -> Path:
        path = Path(text)
        if path.suffix not in endings:
            raise argparse.ArgumentTypeError(f"{text}: ends in neither {' nor '.join(endings)}")
        if not path.parent.is_dir():
            raise argparse.ArgumentTypeError(f"{text}: there is no such folder to write to")
        return path

    return parse


def parse_count(text: str) -> int:
    """Read a whole number of 1 or more."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def parse_number(text: str) -> float:
    """Read a finite number."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return number


def parse_positive(text: str) -> float:
    """Read a number above 0."""
    if (number := parse_number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def parse_seconds(text: str) -> float:
    """Read a time above 0."""
    if (time_s := parse_time(text)) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time above 0")
    return time_s


def parse_time(text: str) -> float:
    """Read seconds, or ``[H:]MM:SS``; both may have decimals."""
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds = clock.groups("0")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    try:
        time_s = float(text)
    except ValueError:
        time_s = math.nan
    if not 0 <= time_s < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in seconds, or as 1:02:03.5")
    return time_s


def complain(error: Exception | str, name: str = "") -> None:
    """Write one line to standard error: the input it is about, and the error."""
    print(f"sewd: {explain(error, name)}", file=sys.stderr, flush=True)


def explain(error: Exception | str, name: str = "") -> str:
    """Return the line that ``complain`` writes."""
    reason = str(error)
    if isinstance(error, OSError) and error.strerror:
        reason, name = error.strerror, name or str(error.filename or "")
    message = " ".join(reason.removeprefix(f"{name}: ").split())
    return printable(f"{name}: {message}" if name else message)
