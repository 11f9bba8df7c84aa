"""Measure on a GPU, and resume where the last call ended."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu.jobs import Benchmark
from benchmarks.gpu.measure import Settings
from benchmarks.gpu.models import ALL
from benchmarks.gpu.plots import draw
from benchmarks.gpu.variant import BASELINES
from benchmarks.results import RESULTS, ROOT, read

MODELS = ("digits", "tiny", "mid", "base-plus", "wav2vec2-base")
SMOKE = ("smoke", "smoke-wav2vec2")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the jobs that are left; return 0 when all are done, 3 while some are left."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--smoke", action="store_true", help="two narrow models, one short run of each shape")
    parser.add_argument("--models", nargs="+", choices=sorted(ALL), help=f"default: {' '.join(MODELS)}")
    parser.add_argument("--variants", nargs="+", help="only these and the reference")
    parser.add_argument("--budget", type=float, default=570, metavar="SECONDS", help="time limit")
    parser.add_argument("--work", type=Path, default=ROOT / "build/gpu", help="cache of the models")
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu.json")
    arguments = parser.parse_args(argv)
    benchmark = Benchmark(
        work=arguments.work,
        file=arguments.out,
        device=arguments.device,
        settings=_settings(smoke=arguments.smoke),
        ends_s=time.monotonic() + arguments.budget,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    left = benchmark.run(arguments.models or (SMOKE if arguments.smoke else MODELS), arguments.variants)
    content = read(arguments.out)
    if content is not None:
        draw(content, arguments.out.parent, arguments.out.stem)
        print(table(content["rows"]))
    if left:
        print("jobs are left: run it again", file=sys.stderr)
    return 3 if left else 0


def _settings(*, smoke: bool) -> Settings:
    if smoke:
        return Settings(clips_s=(0.5, 1.0), batches=(1, 2), batch_clip_s=1.0, runs=2, warm_up=1)
    return Settings()


def table(rows: Sequence[dict]) -> str:  # type: ignore[type-arg]
    """Return a line for each row: p50 of batch 1 on 10 s, and the speed-up over the baselines."""
    times = {(row["model"], row["variant"]): _main_time(row) for row in rows if "times" in row}
    lines = [
        f"{'model':16}{'variant':28}{'p50 ms':>9}{'p90 ms':>9}{'RTFx':>9}{'max abs':>10}  times as fast as"
    ]
    for row in rows:
        model, variant = row["model"], row["variant"]
        if "failed" in row:
            lines.append(f"{model:16}{variant:28}not run: {row['failed']}")
            continue
        time_ = times[model, variant]
        against = [
            f"{baseline} {times[model, baseline]['p50_ms'] / time_['p50_ms']:.2f}"
            for baseline in BASELINES
            if (model, baseline) in times and baseline != variant
        ]
        lines.append(
            f"{model:16}{variant:28}{time_['p50_ms']:9.2f}{time_['p90_ms']:9.2f}{time_['rtfx']:9.1f}"
            f"{row['parity']['max_abs']:10.1e}  {', '.join(against)}"
        )
    return "\n".join(lines)


def _main_time(row: dict) -> dict:  # type: ignore[type-arg]
    """Return the time of batch 1 on 10 s, or on the longest clip that is shorter."""
    alone = [time_ for time_ in row["times"] if time_["batch"] == 1 and time_["clip_s"] <= 10]
    return max(alone, key=lambda time_: time_["clip_s"])


if __name__ == "__main__":
    sys.exit(main())
