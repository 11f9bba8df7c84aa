"""Run comparisons (all by default) and write a file `peers_<comparison>.json` for each."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.peers import results
from benchmarks.peers.driver import Settings, run_comparison
from benchmarks.peers.models import COMPARISONS
from benchmarks.peers.prepare import Workshop
from benchmarks.results import RESULTS, ROOT, SPEECH, write_rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    add = parser.add_argument
    add("comparisons", nargs="*", metavar="COMPARISON", help=f"of {', '.join(COMPARISONS)} (default: all)")
    add("--variants", nargs="+", default=["*"], metavar="PATTERN", help="names or patterns, as 'sewd-*'")
    add("--clips", nargs="+", type=float, default=[2, 10, 30], metavar="SECONDS")
    add("--threads", nargs="+", type=int, default=[1, 2], metavar="N")
    add(
        "--cores",
        nargs="+",
        type=int,
        metavar="CORE",
        help="N threads are pinned to the first N of these (default: all allowed)",
    )
    add("--rounds", type=int, help="rounds of all variants (default: 15, or 7 for the larger models)")
    add("--repeats", type=int, default=2, help="runs in a turn; only the last counts (default: 2)")
    add("--speech", type=Path, default=SPEECH, help="folder with digits_fsdd")
    add("--limit", type=int, help="utterances of each scored set (default: all)")
    add("--note", default="", help="the state of the machine, written into the results")
    add("--out", type=Path, default=RESULTS)
    add("--build", type=Path, default=ROOT / "build/bench", help="cache of exported models")
    add("--python", nargs="+", default=[], metavar="ENVIRONMENT=PATH", help="another interpreter")
    return parser


def main() -> None:
    """Run the command."""
    parser = _parser()
    arguments = parser.parse_args()
    unknown = [name for name in arguments.comparisons if name not in COMPARISONS]
    if unknown:
        parser.error(f"{', '.join(unknown)}: choose from {', '.join(COMPARISONS)}")
    cores = arguments.cores or sorted(os.sched_getaffinity(0))
    if len(cores) < max(arguments.threads):
        parser.error(f"{max(arguments.threads)} threads need as many cores; available: {cores}")
    settings = Settings(
        clips_s=arguments.clips,
        threads=arguments.threads,
        cores=cores,
        rounds=arguments.rounds,
        repeats=arguments.repeats,
        patterns=arguments.variants,
        note=arguments.note,
    )
    workshop = Workshop(
        folder=arguments.build.resolve(),
        pythons={"main": sys.executable, **dict(one.split("=", 1) for one in arguments.python)},
    )
    workshop.write_audio(speech=arguments.speech, clips_s=arguments.clips, limit=arguments.limit)
    for name in arguments.comparisons or COMPARISONS:
        path = results.path_of(arguments.out, name)
        write_rows(path, run_comparison(COMPARISONS[name], settings, workshop))
        print(f"wrote {path}", flush=True)


if __name__ == "__main__":
    main()
