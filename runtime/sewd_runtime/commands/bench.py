"""``sewd bench``. The modules that measure are imported when it runs."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from sewd_runtime.commands._command import (
    DONE,
    add_bundle,
    add_json,
    output_file,
    parse_count,
    parse_seconds,
    refuse_inputs,
)
from sewd_runtime.commands._model import add_variant, parse_threads
from sewd_runtime.system.writing import whole_file

HELP = "Measure a bundle's speed and memory on this machine."
EXAMPLES = """\
  sewd bench
  sewd bench --serve
  sewd bench my-bundle --precision int8 --threads 1,2 -o bench.json -o bench.png
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_bundle(command)
    group = command.add_argument_group("output")
    add_json(group, "all figures as one JSON object instead of the table")
    group.add_argument(
        "-o",
        "--output",
        type=output_file(".json", ".png"),
        action="append",
        default=[],
        metavar="FILE",
        help="write all figures to FILE.json, or a plot to FILE.png (needs sewd[plot]); may be repeated",
    )
    text = "measure only how many recordings to run at once, for the options of sewd serve"
    command.add_argument("--serve", action="store_true", help=text)
    group = command.add_argument_group("model")
    add_variant(group, default="fp32 where there is one")
    text = "Stop other work first: the spread (fastest round to p90, over the median) shows disturbance."
    group = command.add_argument_group("measurement", text)
    counts, text = _listed(parse_threads), "CPU threads (default: 1, 2, 4 ... all cores)"
    group.add_argument("--threads", type=counts, metavar="N,...", default=(), help=text)
    seconds, text = (1.0, 2.0, 5.0, 10.0, 30.0), "clip lengths (default: 1,2,5,10,30)"
    group.add_argument("--seconds", type=_listed(parse_seconds), metavar="S,...", default=seconds, help=text)
    text = "clips in a batch (default: 1,2,4,8,16)"
    group.add_argument("--batches", type=counts, metavar="N,...", default=(1, 2, 4, 8, 16), help=text)
    text = "timings of each case (default: 10)"
    group.add_argument("--rounds", type=parse_count, metavar="N", default=10, help=text)


def run(options: argparse.Namespace) -> int:
    """Measure, write what is asked for, and return the exit code."""
    from sewd_runtime.bench.callers import callers_table, measure_callers
    from sewd_runtime.bench.cases import Plan
    from sewd_runtime.bench.plot import EXTRA, save_plot
    from sewd_runtime.bench.report import as_table
    from sewd_runtime.bench.run import Target, run_benchmark
    from sewd_runtime.system.packages import find_matplotlib

    refuse_inputs(options, options.output)
    if any(path.suffix == ".png" for path in options.output):
        if options.serve:
            options.error("--serve draws no plot; give FILE.json")
        find_matplotlib(EXTRA)  # fails before minutes of measuring
    target = Target(path=options.model, precision=options.precision, provider=options.provider)
    plan = Plan(
        seconds=options.seconds, threads=options.threads, batches=options.batches, rounds=options.rounds
    )
    if options.serve:
        document = measure_callers(target, plan)
        table = callers_table(document)
    else:
        document = run_benchmark(target, plan)
        table = as_table(document)
    content = json.dumps(document, indent=2) + "\n"
    print(content if options.format == "json" else table, end="", flush=True)
    for path in options.output:
        if path.suffix == ".png":
            save_plot(document, path)
        else:
            with whole_file(path) as file:
                file.write(content)
    return DONE


def _listed(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Return a parser of comma-separated values; each is kept once, in rising order."""

    def parse_all(text: str) -> tuple[Any, ...]:
        return tuple(sorted({parse(part) for part in text.split(",")}))

    return parse_all
