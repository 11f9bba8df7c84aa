"""Kill exports, long transcriptions and corpora at random moments (SIGKILL), and check that all is there."""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from fuzz.mutants import ROOT
from sewd_runtime import SewdError, read_audio
from sewd_runtime.bundle.folder import open_bundle

RATE_HZ = 16_000
SPEECH = {".flac", ".wav", ".ogg", ".opus"}
WHOLE_EVERY = 10
"""Kills between two exports that run to their end: they must remove what all of these have left."""


class LostError(Exception):
    """What a kill has lost, doubled or left behind."""


def main(argv: Sequence[str] | None = None) -> int:
    """Kill runs of both commands, print what became of them; return 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.kills", description=__doc__)
    parser.add_argument("--commands", nargs="+", choices=tuple(COMMANDS), default=tuple(COMMANDS))
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="of each command (default: 100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speech", type=Path, default=ROOT / "export/sewd_export/speech", metavar="DIR")
    parser.add_argument(
        "--minutes", type=float, default=10, help="of speech from DIR, joined and repeated (default: 10)"
    )
    options = parser.parse_args(argv)
    for command in options.commands:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            try:
                counts = COMMANDS[command](Path(folder), options)
            except LostError as error:
                print(f"{command}: {error}", file=sys.stderr)
                return 1
        print(f"{command}: " + ", ".join(f"{count} {what}" for what, count in counts.items()), flush=True)
    return 0


def kill_transcriptions(folder: Path, options: argparse.Namespace) -> Counter[str]:
    """Kill and resume ``sewd transcribe`` until it has a result, and compare it with an unbroken run's."""
    recording, output = folder / "speech.flac", folder / "output"
    write_recording(recording, options.speech, options.minutes)
    command = [sys.executable, "-m", "sewd_runtime", "transcribe", "--json", "--resume", "--threads", "1"]
    command += [str(recording), "-o", str(output)]
    longest_s = run_whole(command)
    result, journal = output / "speech.json", output / "speech.partial.jsonl"
    expected = result.read_bytes()
    counts = Counter({"kills": 0, "of them with steps to resume": 0, "results": 0})

    def check() -> None:
        if result.read_bytes() != expected:
            raise LostError(f"after {counts}: the result differs from that of an unbroken run")
        if journal.exists():
            raise LostError(f"after {counts}: {journal.name} is left")
        counts["results"] += 1
        shutil.rmtree(output)

    def look() -> None:
        counts["of them with steps to resume"] += journal.exists() and journal.read_bytes().count(b"\n") > 1
        report("transcribe", counts)

    kill_again_and_again(command, options, longest_s, counts, check=check, look=look)
    return counts


def kill_exports(folder: Path, options: argparse.Namespace) -> Counter[str]:
    """Kill exports of the embedded checkpoint that replace a bundle; a whole one must be there each time."""
    target = folder / "bundle"
    command = [sys.executable, "-m", "sewd_export.cli", "--quiet", "--int8", "-o", str(target)]
    counts = Counter({"kills": 0, "of them with a new bundle": 0, "whole exports": 0, "leftovers removed": 0})

    def check() -> None:
        try:
            open_bundle(target).verify()
        except SewdError as error:
            raise LostError(f"after {counts}: {error}") from error

    def export() -> float:
        counts["leftovers removed"] += len(list(folder.iterdir())) - target.exists()
        took_s = run_whole(command)
        check()
        if litter := [path.name for path in folder.iterdir() if path != target]:
            raise LostError(f"after {counts}: a whole export leaves {', '.join(litter)}")
        counts["whole exports"] += 1
        return took_s

    longest_s, draw = export(), random.Random(options.seed)  # noqa: S311
    while counts["kills"] < options.kills:
        before = target.stat().st_ino
        killed = run_killed(command, draw.uniform(0, longest_s))
        check()
        if not killed:
            counts["whole exports"] += 1
            continue
        counts["kills"] += 1
        counts["of them with a new bundle"] += target.stat().st_ino != before
        report("export", counts)
        if counts["kills"] % WHOLE_EVERY == 0:
            export()
    export()
    return counts


def kill_corpora(folder: Path, options: argparse.Namespace) -> Counter[str]:
    """Kill and repeat ``sewd corpus`` until all shards are there, and compare them with an unbroken run's."""
    manifest, output = folder / "list.tsv", folder / "output"
    clips = sorted(str(clip) for clip in options.speech.iterdir() if clip.suffix in SPEECH)
    lines = (f"{number}\t{clip}\n" for number, clip in enumerate(clips * (1 + 30 // len(clips))))
    manifest.write_text("id\tpath\n" + "".join(lines))
    command = [sys.executable, "-m", "sewd_runtime", "corpus", str(manifest), "-o", str(output)]
    command += ["--shard-recordings", "4"]
    longest_s = run_whole(command)
    counts = Counter({"kills": 0, "of them between shards": 0, "whole corpora": 0})

    def shards() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in output.glob("*.jsonl")}

    expected = shards()

    def check() -> None:
        if shards() != expected or list(output.glob("*.part")):
            raise LostError(f"after {counts}: the output differs from that of an unbroken run")
        counts["whole corpora"] += 1
        shutil.rmtree(output)

    def look() -> None:
        counts["of them between shards"] += 0 < len(shards()) < len(expected)
        if not shards().items() <= expected.items():
            raise LostError(f"after {counts}: a shard differs from that of an unbroken run")
        report("corpus", counts)

    kill_again_and_again(command, options, longest_s, counts, check=check, look=look)
    return counts


def kill_again_and_again(
    command: Sequence[str],
    options: argparse.Namespace,
    longest_s: float,
    counts: Counter[str],
    *,
    check: Callable[[], None],
    look: Callable[[], None],
) -> None:
    """Run a command that continues what it finds: killed as often as asked, and at last to its end.

    check: compares what a whole run leaves and takes it away. look: at what a killed one has left.
    """
    check()
    draw = random.Random(options.seed)  # noqa: S311
    while counts["kills"] < options.kills:
        if not run_killed(command, draw.uniform(0, longest_s)):
            check()
            continue
        counts["kills"] += 1
        look()
    run_whole(command)
    check()


COMMANDS: dict[str, Callable[[Path, argparse.Namespace], Counter[str]]] = {
    "transcribe": kill_transcriptions,
    "export": kill_exports,
    "corpus": kill_corpora,
}


def write_recording(path: Path, speech: Path, minutes: float) -> None:
    """Write recordings of a folder joined to a long one, with the pauses that they have."""
    clips = sorted(clip for clip in speech.iterdir() if clip.suffix in SPEECH)
    samples = np.concatenate([read_audio(clip, target_rate_hz=RATE_HZ) for clip in clips])
    soundfile.write(path, np.resize(samples, round(minutes * 60 * RATE_HZ)), RATE_HZ)


def run_whole(command: Sequence[str]) -> float:
    """Run a command to its end; returns how long it took in s. Raises LostError if it fails."""
    begin = time.monotonic()
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        raise LostError(f"a whole run fails: {ended.stderr}")
    return time.monotonic() - begin


def run_killed(command: Sequence[str], delay_s: float) -> bool:
    """Run a command and kill it after some seconds; returns False if it had ended before, with success."""
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        try:
            process.wait(delay_s)
        except subprocess.TimeoutExpired:
            process.kill()
        _, errors = process.communicate()
    if process.returncode > 0:
        raise LostError(f"a run fails: {errors}")
    return process.returncode < 0


def report(command: str, counts: Counter[str]) -> None:
    """Show the counts so far on the terminal, and in a log."""
    print(f"{command}: {dict(counts)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
