"""``sewd doctor``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict

from sewd_runtime.bundle.folder import find_bundle, open_bundle
from sewd_runtime.commands._shared import DONE, EXIT_CODES, SOME_FAILED, WHICH_MODEL, parse_count
from sewd_runtime.inference.diagnosis import Choice, Diagnosis, diagnose

HELP = "Show what this machine can run, and what is in the way of the rest."
EPILOG = f"""\
The exit code is 1 where no provider runs the model, where one that is installed does not, or where two
packages overwrite each other's files. A provider that is not installed is no fault.

{EXIT_CODES}"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    command.add_argument("model", nargs="?", metavar="BUNDLE", help=WHICH_MODEL)
    command.add_argument("--threads", type=parse_count, metavar="N", help="(default: one for each core)")
    command.add_argument("--measure", action="store_true", help="measure what auto has not measured here yet")
    command.add_argument("--json", action="store_true", help="one JSON object")


def run(options: argparse.Namespace) -> int:
    """Write the diagnosis and return the exit code."""
    bundle = open_bundle(find_bundle(options.model))
    found = diagnose(bundle, threads=options.threads, measure=options.measure)
    print(
        json.dumps({**asdict(found), "healthy": found.healthy}) if options.json else "\n".join(_lines(found))
    )
    return DONE if found.healthy else SOME_FAILED


def _lines(found: Diagnosis) -> Iterator[str]:
    machine, memory = found.machine, found.machine["memory_bytes"]
    width = 2 + max(11, *(len(finding.provider) for finding in found.providers))
    for key, value in (
        ("processor", f"{machine['processor']} ({machine['architecture']}), {machine['cores']} cores"),
        ("has", ", ".join(found.instructions) or "unknown instructions"),
        ("memory", "unknown" if memory is None else f"{memory / 1e9:.1f} GB"),
        ("system", f"{machine['os']}, Python {machine['python']}"),
        ("packages", ", ".join(f"{name} {version}" for name, version in found.versions.items())),
        *(("devices", f"{library}: {', '.join(names)}") for library, names in found.devices.items()),
        ("model", f"{found.model}: {', '.join(found.precisions)}"),
    ):
        yield f"{key:<{width}}{value}"
    if found.damage:
        yield f"{'DAMAGED':<{width}}{found.damage}"
    yield ""
    for finding in found.providers:
        state = "ok" if finding.usable else "FAILED" if finding.present else "absent"
        detail = " ".join(finding.detail.split())
        yield f"{finding.provider:<{width}}{state:<8}{finding.precision or '-':<13}{detail}"
    yield ""
    for choice in found.choices:
        precision = f"--precision {choice.precision}"
        yield f"{'auto':<{width}}{precision:<21}{_describe(choice)}"


def _describe(choice: Choice) -> str:
    if choice.timings:
        times = ", ".join(f"{timing.variant} {timing.milliseconds:.0f} ms" for timing in choice.timings)
        return f"{choice.timings[0].variant} (for 10 s: {times})"
    if len(choice.candidates) == 1:
        return f"{choice.candidates[0]}, nothing else to choose from"
    if not choice.candidates:
        return "nothing to choose from"
    return f"not measured yet among {', '.join(choice.candidates)}: --measure"
