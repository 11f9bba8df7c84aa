"""Measure what Triton adds to a run: `python -m benchmarks.triton .venv-triton`; results/triton.json."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.machine import describe
from benchmarks.results import RESULTS, ROOT, write
from benchmarks.triton.server import running
from sewd_export.layouts.triton import write_triton


def main() -> None:
    """Serve the small model of the tests, so that inference hides nothing, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environment", type=Path, help="as `.ci/run` makes it")
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        bundle = Path(shutil.copytree(ROOT / "tests/data/tiny", work / "tiny"))
        repository = write_triton(bundle, work / "repository")
        (work / "server").mkdir()
        with running(arguments.environment, repository, work / "server") as server:
            command = [arguments.environment / "bin/python", Path(__file__).with_name("client.py")]
            options = map(str, (server.grpc, bundle.name, bundle, arguments.rounds))
            done = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
    clips = json.loads(done.stdout.splitlines()[-1])
    write(RESULTS / "triton.json", {"machine": describe(), "rounds": arguments.rounds, "clips_s": clips})
    print(json.dumps(clips, indent=2))


if __name__ == "__main__":
    main()
