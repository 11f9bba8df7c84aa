"""``sewd corpus``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from sewd_runtime.bundle.folder import find_bundle
from sewd_runtime.bundle.manifest import MANIFEST_NAME
from sewd_runtime.commands._command import DONE, SOME_FAILED, complain, parse_count, parse_positive
from sewd_runtime.commands._decoding import add_decoding, check_decoding, describe_decoding
from sewd_runtime.commands._files import add_reading, check_workers, most_workers
from sewd_runtime.commands._long_files import add_splitting, chosen_segmentation
from sewd_runtime.commands._model import add_running, add_variant, add_workers
from sewd_runtime.inference.variants import default_precision
from sewd_runtime.system.hashing import sha256_of
from sewd_runtime.system.progress import show_progress
from sewd_runtime.system.writing import whole_file
from sewd_serve.corpus.cluster import connected, run_on_cluster
from sewd_serve.corpus.output import FORMATS, Counts, Output
from sewd_serve.corpus.planning import find_names, locked, read_shards
from sewd_serve.corpus.shards import HOURS, RECORDINGS, Cut, Shard
from sewd_serve.corpus.summary import NAME, Summary
from sewd_serve.corpus.worker import Setup, Worker

HELP = "Transcribe all recordings of a manifest, in shards, each exactly once."
EXAMPLES = """\
  sewd corpus recordings.tsv -o transcripts
  sewd corpus recordings.parquet -o transcripts --format parquet --model my-bundle --precision int8
  sewd corpus recordings.jsonl -o /shared/transcripts --ray
"""

_MANIFEST = """\
A row for each recording: path, and optionally id, reference (what is said), start and end (of a part, in
seconds), duration. JSON lines; Parquet; or columns separated by tabs, named in the first line (without names:
path, reference). Paths are relative to the manifest, or addresses such as s3://bucket/name (needs fsspec)."""

_OUTPUT = """\
DIR has a file for each shard, and NAME.json about it. Run the same command again to continue: what is there
is not done again. A recording that fails is a row with its error."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    group = command.add_argument_group("input", _MANIFEST)
    group.add_argument("manifest", type=Path, metavar="MANIFEST")
    add_reading(group)
    group = command.add_argument_group("output", _OUTPUT)
    group.add_argument("-o", "--output", type=Path, metavar="DIR", required=True)
    group.add_argument("--format", choices=FORMATS, default="jsonl", help="of the rows (default: jsonl)")
    text = f"audio of a shard, by the manifest's start, end and duration (default: {HOURS:g})"
    group.add_argument("--shard-hours", type=parse_positive, metavar="H", default=HOURS, help=text)
    text = f"recordings of a shard where the manifest does not state their length (default: {RECORDINGS})"
    group.add_argument("--shard-recordings", type=parse_count, metavar="N", default=RECORDINGS, help=text)
    text = "run shards again in which a recording failed"
    group.add_argument("--retry-failed", action="store_true", help=text)
    group = command.add_argument_group("model")
    group.add_argument("--model", metavar="BUNDLE", help="as for sewd transcribe (default: digits)")
    add_variant(group, default="what the provider prefers: fp32, on GPUs fp16", auto=False)
    add_running(group)
    add_workers(group)
    text = (
        "run on a Ray cluster, of which all machines share DIR and the recordings (default: that of this one)"
    )
    group.add_argument("--ray", nargs="?", const="auto", metavar="ADDRESS", help=text)
    add_splitting(command.add_argument_group("long recordings"))
    add_decoding(command)


def run(options: argparse.Namespace) -> int:
    """Run what is left of a corpus, report all of it, and return the exit code."""
    check_decoding(options)
    if options.ray is None:
        check_workers(options)
    setup = _prepare(options)
    cut = Cut(hours=options.shard_hours, recordings=options.shard_recordings)
    with locked(setup.output.folder):
        names = find_names(setup, cut)
        done = {name: counts for name in names if (counts := setup.output.counts(name))}
        again = {name for name, counts in done.items() if counts.failed and options.retry_failed}
        left = dict.fromkeys(name for name in names if name not in done or name in again)
        if len(left) < len(names):
            complain(f"shards done already: {len(names) - len(left):,} of {len(names):,}")
        start_s = time.monotonic()
        shards = (shard for shard in read_shards(setup, cut) if shard.name in left)
        results = dict(show_progress(_run(setup, shards, len(left)), total=len(left)) if left else ())
        ran = {name: counts for name, counts in results.items() if counts}
        summary = Summary(
            shards=len(names),
            counts=sum((done | ran).values(), Counts()),
            shards_run=len(ran),
            audio_run_s=sum(counts.audio_s for counts in ran.values()),
            seconds=time.monotonic() - start_s,
            shards_failed=len(results) - len(ran),
        )
        with whole_file(options.output / NAME) as file:
            file.write(json.dumps(summary.as_dict(), indent=2) + "\n")
    print(summary.as_table(), end="", flush=True)
    return SOME_FAILED if summary.counts.failed or summary.shards_failed else DONE


def _run(setup: Setup, shards: Iterable[Shard], total: int) -> Iterable[tuple[str, Counts | None]]:
    """Yield the name of each shard as soon as it is written, and what is in it; None if it was given up."""
    options = setup.options
    if options.ray is None:
        yield from Worker(setup).run(shards)
        return
    # One batch at a time in each actor: what of Python holds its interpreter's lock is then spread as well.
    one = replace(setup, options=argparse.Namespace(**{**vars(options), "workers": 1}))
    with connected(options.ray) as ray:
        yield from run_on_cluster(
            ray,
            shards,
            open_worker=partial(Worker, one),
            total=total,
            threads=options.threads,
            actors=options.actors,
        )


def _prepare(options: argparse.Namespace) -> Setup:
    """Return what workers need, wherever they run: paths are absolute, threads and precision are chosen."""
    chosen = {key: value for key, value in vars(options).items() if not callable(value)}
    chosen |= {key: value.absolute() for key, value in chosen.items() if isinstance(value, Path)}
    if options.model and Path(options.model).exists():
        chosen["model"] = str(Path(options.model).absolute())
    bundle = find_bundle(options.model)
    chosen["precision"] = options.precision or default_precision(bundle.manifest, options.provider)
    # Rounding depends on the threads of one run, and nothing else of a shard depends on the machine's cores.
    chosen["threads"] = options.threads or 1
    chosen["actors"] = options.workers
    chosen["workers"] = options.workers or most_workers(options)
    options = argparse.Namespace(**chosen)
    sha256 = sha256_of(bundle.path / MANIFEST_NAME)
    reading = f"channel={options.channel} strict={options.strict} max_duration={options.max_duration}"
    task = (
        f"bundle={sha256} precision={options.precision} provider={options.provider} "
        f"{describe_decoding(options, bundle.manifest)} {chosen_segmentation(options)} "
        f"{reading} format={options.format}"
    )
    return Setup(
        options=options,
        folder=options.manifest.parent,
        output=Output(folder=options.output, format=options.format),
        bundle_sha256=sha256,
        task=task,
    )
