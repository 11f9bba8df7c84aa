"""Try mutated input of every kind, print what became of it, and keep what was found."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from fuzz.mutants import ROOT
from fuzz.worker import FAULTS, HUNG, MEMORY, OUTCOMES, KindMissingError, Limits, Result, Worker

KINDS = ("bundles", "recordings", "checkpoints", "journals", "lists")
RESTART_AFTER = 500
"""Mutants of one process: what it does not free is not taken for the fault of one mutant."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the mutants, print a table; return 1 if any did not end in a result or a named error."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, default=KINDS, metavar="KIND", help=" ".join(KINDS)
    )
    parser.add_argument("--seed", type=int, default=0, help="a mutant depends on kind, seed and number alone")
    parser.add_argument("--first", type=int, default=0, metavar="NUMBER", help="(default: 0)")
    parser.add_argument(
        "--count", type=int, metavar="N", help="mutants of each kind (default: as time allows)"
    )
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="for all kinds (default: 60, without --count)"
    )
    parser.add_argument("--cpu", type=float, default=30, metavar="S", help="of one mutant (default: 30)")
    text = "of one mutant, on a machine that may be busy (default: 300)"
    parser.add_argument("--watchdog", type=float, default=300, metavar="S", help=text)
    parser.add_argument("--memory", type=float, default=2, metavar="GIB", help="of one process (default: 2)")
    parser.add_argument(
        "--findings", type=Path, default=ROOT / "build/fuzz", metavar="DIR", help="what was found"
    )
    options = parser.parse_args(argv)
    if options.count is None and options.seconds is None:
        options.seconds = 60.0
    memory_bytes = int(options.memory * 2**30)
    limits = Limits(cpu_s=options.cpu, watchdog_s=options.watchdog, memory_bytes=memory_bytes)
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        os.environ["XDG_CACHE_HOME"] = scratch  # nothing of the user's is read or written
        for kind in options.kinds:
            worker = Worker(f"fuzz.{kind}", Path(scratch, kind), limits)
            try:
                counts[kind] = run_kind(worker, kind, options)
            except KindMissingError as error:
                print(f"{kind}: skipped: {error}", file=sys.stderr)
            finally:
                worker.close()
    print(table(counts))
    return int(any(found[fault] for found in counts.values() for fault in FAULTS))


def run_kind(worker: Worker, kind: str, options: argparse.Namespace) -> Counter[str]:
    """Try mutants of a kind until their number or their time is reached, and save what was found."""
    counts: Counter[str] = Counter()
    worker.start()  # imports take none of the time
    share_s = float("inf") if options.seconds is None else options.seconds / len(options.kinds)
    ends_s = time.monotonic() + share_s
    numbers: Iterable[int] = itertools.count(options.first)
    for number in itertools.islice(numbers, options.count):
        if time.monotonic() > ends_s:
            break
        if (number - options.first) % RESTART_AFTER == 0:
            worker.close()
        source = f"{options.seed} {kind} {number}"
        result = worker.run(source)
        if result.outcome in (HUNG, MEMORY):  # perhaps the machine was busy, or the process had grown
            result = worker.run(source)
        counts[result.outcome] += 1
        if result.outcome in FAULTS:
            save(result, options.findings / kind / f"{options.seed}-{number}")
            repeat = f"--kinds {kind} --seed {options.seed} --first {number} --count 1"
            print(
                f"{result.outcome}: {repeat}: {result.mutant.note}: {result.detail}",
                file=sys.stderr,
                flush=True,
            )
    return counts


def save(result: Result, case: Path) -> None:
    """Write a finding as a folder that can move to ``fuzz/corpus/KIND`` when it is mended."""
    result.mutant.save(case, f"{result.outcome}: {result.detail}")


def table(counts: dict[str, Counter[str]]) -> str:
    """Return a Markdown table of kinds and outcomes."""
    rows: list[tuple[str, ...]] = [("kind", "tried", *OUTCOMES)]
    total: Counter[str] = Counter()
    for kind, found in counts.items():
        total += found
        rows.append((kind, f"{found.total():,}", *(f"{found[outcome]:,}" for outcome in OUTCOMES)))
    rows.append(("all", f"{total.total():,}", *(f"{total[outcome]:,}" for outcome in OUTCOMES)))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---|" + "---:|" * (len(OUTCOMES) + 1), *lines[1:]])


if __name__ == "__main__":
    sys.exit(main())
