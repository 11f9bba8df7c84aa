"""The command line of ``sewd bench``; what measures is imported when it runs."""

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sewd_runtime.commands._shared import EXIT_CODES, WHICH_MODEL, parse_count

HELP = "Measure a bundle's speed and memory on this machine."
EPILOG = (
    """\
output:
  A table on stdout; with --json - the JSON goes there and the table to stderr.
Close what else runs: the spread, from the fastest round to p90 over the median, shows what disturbed.

"""
    + EXIT_CODES
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("model", nargs="?", metavar="BUNDLE", help=WHICH_MODEL)
    parser.add_argument("--precision", metavar="P", help="(default: fp32 where there is one)")
    parser.add_argument("--provider", metavar="NAME", default="cpu", help="(default: cpu)")
    parser.add_argument(
        "--threads",
        type=_listed(parse_count),
        metavar="N,...",
        default=(),
        help="(default: 1, 2, 4 ... all cores)",
    )
    parser.add_argument(
        "--seconds",
        type=_listed(_seconds),
        metavar="S,...",
        default=(1.0, 2.0, 5.0, 10.0, 30.0),
        help="clip lengths (default: 1,2,5,10,30)",
    )
    parser.add_argument(
        "--batches",
        type=_listed(parse_count),
        metavar="N,...",
        default=(1, 2, 4, 8, 16),
        help="clips in a batch (default: 1,2,4,8,16)",
    )
    parser.add_argument("--rounds", type=parse_count, metavar="N", default=10, help="(default: 10)")
    parser.add_argument("--json", type=_output, metavar="FILE", help="write all figures there; - for stdout")
    parser.add_argument("--plot", type=_output, metavar="FILE.png", help="draw them there; needs sewd[plot]")


def run(options: argparse.Namespace) -> int:
    """Measure, write what is asked for, and return the exit code."""
    from sewd_runtime.bench.cases import Plan
    from sewd_runtime.bench.plot import find_matplotlib, save_plot
    from sewd_runtime.bench.report import as_table
    from sewd_runtime.bench.run import Target, run_benchmark

    if options.plot:
        find_matplotlib()  # fails before the minutes are spent
    target = Target(path=options.model, precision=options.precision, provider=options.provider)
    plan = Plan(
        seconds=options.seconds, threads=options.threads, batches=options.batches, rounds=options.rounds
    )
    document = run_benchmark(target, plan)
    print(as_table(document), end="", file=sys.stderr if options.json == "-" else sys.stdout, flush=True)
    if options.json:
        content = json.dumps(document, indent=2) + "\n"
        if options.json == "-":
            sys.stdout.write(content)
        else:
            Path(options.json).write_text(content, encoding="utf-8")
    if options.plot:
        save_plot(document, options.plot)
    return 0


def _listed(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Make a parser of comma-separated values; each is kept once, in rising order."""

    def parse_all(text: str) -> tuple[Any, ...]:
        return tuple(sorted({parse(part) for part in text.split(",")}))

    return parse_all


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _output(text: str) -> str:
    if not Path(text).parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: there is no such folder to write to")
    return text
