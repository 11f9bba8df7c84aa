"""Measure `sewd serve` on this machine; `make bench-serve` measures all of it and writes the document."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.results import EMBEDDED, RESULTS, read, write
from benchmarks.serving import idle, live, soak, throughput
from benchmarks.serving.clips import Clip, make_clips
from benchmarks.serving.servers import Server, other_command, running, sewd_command
from sewd_runtime import Recognizer

OUTPUT = RESULTS / "serving.json"
CLIENTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is measured with: clips, scratch folder, the options of the command."""

    clips: list[Clip]
    folder: Path
    options: argparse.Namespace

    @contextmanager
    def serve(self, *arguments: str) -> Iterator[Server]:
        """Start `sewd serve` in int8."""
        with running(sewd_command("--precision", "int8", *arguments), self.folder / "log") as server:
            yield server


def measure_throughput(setting: Setting) -> Any:
    """Measure the digits model, raw and served, and the others."""
    options, clips, cores = setting.options, setting.clips, throughput.cores()
    batch = Recognizer.load(precision="int8", threads=cores)
    callers = Recognizer.load(precision="int8", threads=1)
    runs: dict[str, throughput.Run] = {
        "transcribe_batch": partial(throughput.raw_batch, batch, clips),
        "one by one, a caller each core": partial(throughput.raw_callers, callers, clips, cores),
    }
    with ExitStack() as stack:
        served = stack.enter_context(setting.serve())
        runs["sewd serve"] = partial(throughput.through, served, clips, CLIENTS)
        for name, command in _others(options, cores).items():
            server = stack.enter_context(running(command, setting.folder / f"{name}.log"))
            runs[name] = partial(throughput.through, server, clips, CLIENTS)
        return throughput.measure(runs, clips, options.rounds)


def _others(options: argparse.Namespace, cores: int) -> Mapping[str, list[str]]:
    threads = ("--threads", str(cores))
    others = {"torch": other_command(sys.executable, "torch", str(EMBEDDED), *threads)}
    if options.whisper:
        python, folder = options.whisper
        others["faster-whisper base"] = other_command(python, "whisper", folder, *threads)
    return others


def measure_larger(setting: Setting) -> Any:
    """Measure a larger model, raw and served; its weights may be random."""
    bundle = setting.options.larger
    if bundle is None:
        return None
    cores, clips = throughput.cores(), setting.clips
    batch = Recognizer.load(bundle, precision="int8", threads=cores)
    callers = Recognizer.load(bundle, precision="int8", threads=1)
    with setting.serve(bundle) as server:
        runs: dict[str, throughput.Run] = {
            "transcribe_batch": partial(throughput.raw_batch, batch, clips),
            "one by one, a caller each core": partial(throughput.raw_callers, callers, clips, cores),
            "sewd serve": partial(throughput.through, server, clips, CLIENTS),
        }
        return throughput.measure(runs, clips, setting.options.rounds)


def measure_idle(setting: Setting) -> Any:
    """Measure overhead, memory, start and fairness."""
    clips = setting.clips
    short = min(clips, key=lambda clip: abs(clip.duration_s - 5))
    with setting.serve() as server:
        memory = idle.measure_memory(server, clips, CLIENTS)
        start_s = server.start_s
    [long] = make_clips(setting.folder / "long", 1, seconds=(2400.0, 2400.0))
    with setting.serve() as server:
        overhead = idle.measure_overhead(server, Recognizer.load(precision="int8", threads=1), short, 300)
        fairness = idle.measure_fairness(server, long, clips[0], clips[-1], 200)
    return {"start_s": round(start_s, 2), **memory, "overhead": overhead, "fairness": fairness}


def measure_live(setting: Setting) -> Any:
    """Measure live streams of both models, more and more of them."""
    seconds = setting.options.live_seconds
    rows = []
    for name, bundle, chunk, counts in (
        ("digits", None, "0.5", (25, 50, 75, 80, 100)),
        ("digits", None, "1", (80, 100, 125)),
        ("larger", setting.options.larger, "0.5", (5, 10, 15, 20, 25)),
    ):
        if name == "larger" and bundle is None:
            continue
        with setting.serve("--chunk", chunk, *([bundle] if bundle else [])) as server:
            for count in counts:
                row = live.measure_streams(server, setting.clips[-8:], count, seconds)
                rows.append({"model": name, "chunk_s": chunk, **row})
                if not row["kept_up"]:
                    break
    return rows


SECTIONS: Mapping[str, Callable[[Setting], Any]] = {
    "throughput": measure_throughput,
    "larger": measure_larger,
    "idle": measure_idle,
    "live": measure_live,
    "soak": lambda setting: soak.measure(setting.serve, setting.clips, setting.options.soak_minutes),
}


def main() -> None:
    """Measure the sections that are asked for, and keep the others of the last run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument(
        "sections", nargs="*", choices=[[], *SECTIONS], metavar="SECTION", help=", ".join(SECTIONS)
    )
    parser.add_argument("--larger", metavar="BUNDLE", help="a larger bundle, with int8")
    parser.add_argument(
        "--whisper",
        nargs=2,
        metavar=("PYTHON", "FOLDER"),
        help="an environment with faster-whisper, and its model",
    )
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--live-seconds", type=float, default=20.0)
    parser.add_argument("--soak-minutes", type=float, default=60.0)
    options = parser.parse_args()
    content = read(OUTPUT) or {}
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(
            clips=make_clips(Path(folder) / "clips", options.clips), folder=Path(folder), options=options
        )
        for section in options.sections or SECTIONS:
            content |= {"machine": machine.describe(), section: SECTIONS[section](setting)}
            print(section, content[section], flush=True)
            write(OUTPUT, content)


if __name__ == "__main__":
    main()
