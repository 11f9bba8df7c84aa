"""``make bench-corpus``: a corpus in one process and on a Ray cluster of this machine, and scheduling alone.

Writes benchmarks/results/corpus.json and the figures of docs/corpus.md. Run it on a machine with nothing else
to do.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.markdown import replace_section, table
from benchmarks.results import RESULTS, ROOT, write
from sewd_runtime.system.machine import describe_versions
from sewd_runtime.system.packages import find_packages
from sewd_serve.corpus.cluster import run_on_cluster
from sewd_serve.corpus.manifest import Recording
from sewd_serve.corpus.output import Counts
from sewd_serve.corpus.shards import Cut, Shard, cut_shards

FILE, DOCUMENT = RESULTS / "corpus.json", ROOT / "docs/corpus.md"
CLIPS = ROOT / "export/sewd_export/speech"
CLIPS_IN_SHARD = 50
STUB_S, SHARDS_OF_ACTOR = 2.0, 11
"""How long a shard takes the stub of a model, which needs no CPU, and how many each actor gets."""


def main() -> None:
    """Measure, write the results, and put the figures into the document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpus", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--hours", type=float, nargs=2, default=(0.5, 2.0), help="two sizes (default: 0.5 2)")
    parser.add_argument("--actors", type=int, nargs="+", default=(25, 50, 100, 200))
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    content = {
        "machine": machine.describe(),
        "versions": {**describe_versions(), **find_packages(("ray",))},
        "load_before": os.getloadavg()[0],
        "runs": list(_measure_runs(options.hours, options.rounds, cores)),
        "scheduling": list(_measure_scheduling(options.actors)),
    }
    write(FILE, content)
    text = replace_section(
        DOCUMENT.read_text(encoding="utf-8"), "figures", section(content), command="make bench-corpus"
    )
    DOCUMENT.write_text(text, encoding="utf-8")


def _measure_runs(hours: Iterable[float], rounds: int, cores: int) -> Iterator[dict[str, Any]]:
    """Yield the seconds of each way and size, ways in turn; start and loading of models are included."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cores})
    ways = {
        "one worker": ["--workers", "1"],
        "all cores": ["--workers", str(cores)],
        "Ray, an actor a core": ["--ray", cluster.address, "--workers", str(cores)],
    }
    try:
        with tempfile.TemporaryDirectory() as folder:
            for size in hours:
                manifest = _write_manifest(Path(folder), size)
                seconds: dict[str, list[float]] = {name: [] for name in ways}
                for turn in range(rounds):
                    for name, arguments in ways.items():
                        output = Path(folder) / f"{size}-{turn}-{len(arguments)}-{arguments[-1]}"
                        seconds[name].append(_run(manifest, output, arguments))
                        print(f"{size:g} h, {name}: {seconds[name][-1]:.1f} s", file=sys.stderr, flush=True)
                yield from (
                    {"name": name, "hours": size, "seconds": [round(each, 2) for each in values]}
                    for name, values in seconds.items()
                )
    finally:
        cluster.shutdown()


def _write_manifest(folder: Path, hours: float) -> Path:
    """List the package's clips as often as it takes; their mean length is 3.85 s."""
    clips = sorted(CLIPS.glob("*.flac"))
    number = round(hours * 3600 / 3.847)
    path = folder / f"{hours}.tsv"
    rows = (f"{place}\t{clips[place % len(clips)]}\n" for place in range(number))
    path.write_text("id\tpath\n" + "".join(rows), encoding="utf-8")
    return path


def _run(manifest: Path, output: Path, arguments: Iterable[str]) -> float:
    command = [sys.executable, "-m", "sewd_runtime", "corpus", str(manifest), "-o", str(output)]
    command += ["--shard-recordings", str(CLIPS_IN_SHARD), *arguments]
    start_s = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start_s


class Stub:
    """A model that takes a while and no CPU, so that only scheduling is measured.

    It begins when all of the ``actors`` are there: each puts a file into ``folder``.
    """

    def __init__(self, folder: Path, actors: int) -> None:
        (folder / str(os.getpid())).touch()
        while sum(1 for _ in folder.iterdir()) < actors:
            time.sleep(1)

    def run(self, shards: Iterable[Shard]) -> Iterator[tuple[str, Counts]]:
        """Wait for each shard."""
        for shard in shards:
            time.sleep(STUB_S)
            yield shard.name, Counts(recordings=len(shard.recordings))


def _measure_scheduling(actors: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Yield how many shards a second so many actors on four simulated machines were given."""
    import ray
    from ray.cluster_utils import Cluster

    for number in actors:
        cluster = Cluster()
        try:
            for _ in range(4):
                cluster.add_node(num_cpus=-(-number // 4), object_store_memory=10**8)
            cluster.wait_for_nodes()
            ray.init(address=cluster.address, logging_level="error")
            yield _schedule(ray, number)
            ray.shutdown()
        finally:
            cluster.shutdown()


def _schedule(ray: Any, actors: int) -> dict[str, Any]:
    """Time the shards after the first of each actor."""
    total = SHARDS_OF_ACTOR * actors
    recordings = (Recording(id=str(place), path="a.wav") for place in range(total))
    shards = cut_shards(recordings, Cut(recordings=1), task="")
    with tempfile.TemporaryDirectory() as folder:
        stub = partial(Stub, Path(folder), actors)
        results = run_on_cluster(ray, shards, open_worker=stub, total=total, threads=1, actors=actors)
        start_s = time.perf_counter()
        ended_s = [time.perf_counter() for _ in results]
    timed, seconds = total - actors, ended_s[-1] - ended_s[actors - 1]
    print(f"{actors} actors: {timed} shards in {seconds:.1f} s", file=sys.stderr, flush=True)
    return {
        "actors": actors,
        "shards": timed,
        "seconds": round(seconds, 2),
        "share_of_ideal": round(timed * STUB_S / actors / seconds, 3),
        "start_s": round(ended_s[0] - STUB_S - start_s, 1),
    }


def section(content: Mapping[str, Any]) -> str:
    """Return the figures as text."""
    lines = [*_run_lines(content)] if content["runs"] else []
    if content["scheduling"]:
        head = ["actors on four simulated machines", "shards a second", "of the ideal"]
        rows = [
            [
                str(row["actors"]),
                f"{row['shards'] / row['seconds']:.0f}",
                f"{row['share_of_ideal']:.0%}",
            ]
            for row in content["scheduling"]
        ]
        lines += ["", *table(head, rows), ""]
        lines += [f"Scheduling alone: a stub takes {STUB_S:g} s for a shard and no CPU."]
    return "\n".join(lines)


def _run_lines(content: Mapping[str, Any]) -> Iterator[str]:
    sizes = sorted({row["hours"] for row in content["runs"]})
    names = list(dict.fromkeys(row["name"] for row in content["runs"]))
    medians = {(row["name"], row["hours"]): statistics.median(row["seconds"]) for row in content["runs"]}
    gained_s = 3600 * (sizes[-1] - sizes[0])
    rows = [
        [
            name,
            *(f"{medians[name, size]:.1f} s" for size in sizes),
            f"{gained_s / (medians[name, sizes[-1]] - medians[name, sizes[0]]):,.0f}",
        ]
        for name in names
    ]
    head = [
        "the digits model, fp32",
        *(f"{size:g} h" for size in sizes),
        "times real time, without the start",
    ]
    place = content["machine"]
    yield from table(head, rows)
    yield ""
    yield (
        f"Clips of 4 s, shards of {CLIPS_IN_SHARD}; start and loading included, medians of "
        f"{len(content['runs'][0]['seconds'])} rounds in turns; {place['processor']}, "
        f"{place['cores']} cores, load {content['load_before']:.1f} before."
    )


if __name__ == "__main__":
    main()
