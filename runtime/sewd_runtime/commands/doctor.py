"""``sewd doctor``."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from sewd_runtime.bundle.folder import find_bundle
from sewd_runtime.commands._command import DONE, SOME_FAILED, add_bundle, add_json
from sewd_runtime.commands._model import add_threads
from sewd_runtime.inference.doctor import Choice, Diagnosis, diagnose
from sewd_runtime.system.terminal import json_line, printable

HELP = "Show what this machine can run, and how to fix what it cannot."
EXAMPLES = """\
  sewd doctor
  sewd doctor my-bundle --measure --json
"""

_OUTPUT = """\
The exit code is 1 if no provider runs the model, if an installed provider fails to, or if two packages
overwrite each other's files. A provider that is not installed is no failure."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_bundle(command)
    group = command.add_argument_group("output", _OUTPUT)
    add_json(group, "one JSON object")
    group = command.add_argument_group("model")
    add_threads(group)
    group.add_argument("--measure", action="store_true", help="measure what auto has not measured here yet")


def run(options: argparse.Namespace) -> int:
    """Write the diagnosis and return the exit code."""
    bundle = find_bundle(options.model)
    diagnosis = diagnose(bundle, threads=options.threads, measure=options.measure)
    if options.format == "json":
        print(json_line({**asdict(diagnosis), "healthy": diagnosis.healthy}))
    else:
        print(*map(printable, _lines(diagnosis)), sep="\n")
    return DONE if diagnosis.healthy else SOME_FAILED


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    machine, memory = diagnosis.machine, diagnosis.machine["memory_bytes"]
    width = 2 + max(11, *(len(finding.provider) for finding in diagnosis.providers))
    for key, value in (
        ("CPU", f"{machine['processor']} ({machine['architecture']}), {machine['cores']} cores"),
        ("features", ", ".join(diagnosis.instructions) or "unknown"),
        ("memory", "unknown" if memory is None else f"{memory / 1e9:.1f} GB"),
        ("system", f"{machine['os']}, Python {machine['python']}"),
        ("packages", ", ".join(f"{name} {version}" for name, version in diagnosis.versions.items())),
        *(("devices", f"{library}: {', '.join(names)}") for library, names in diagnosis.devices.items()),
        ("model", f"{diagnosis.model}: {', '.join(diagnosis.precisions)}"),
    ):
        yield f"{key:<{width}}{value}"
    if diagnosis.damage:
        yield f"{'DAMAGED':<{width}}{diagnosis.damage}"
    yield ""
    for finding in diagnosis.providers:
        state = "ok" if finding.usable else "FAILED" if finding.present else "absent"
        detail = " ".join(finding.detail.split())
        yield f"{finding.provider:<{width}}{state:<8}{finding.precision or '-':<13}{detail}"
    yield ""
    for choice in diagnosis.choices:
        precision = f"--precision {choice.precision}"
        yield f"{'auto':<{width}}{precision:<21}{_describe(choice)}"


def _describe(choice: Choice) -> str:
    if choice.timings:
        times = ", ".join(f"{timing.variant} {timing.milliseconds:.0f} ms" for timing in choice.timings)
        return f"{choice.timings[0].variant} (for 10 s: {times})"
    if len(choice.candidates) == 1:
        return f"{choice.candidates[0]}, the only candidate"
    if not choice.candidates:
        return "no candidate"
    return f"not measured yet ({', '.join(choice.candidates)}): --measure"
