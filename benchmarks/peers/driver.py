"""One comparison: prepare the variants, measure their errors, time them in turns, collect the results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.peers import accuracy, results
from benchmarks.peers.client import Launch, Worker, WorkerError
from benchmarks.peers.make import REFUSED
from benchmarks.peers.models import MODELS, Comparison, Model
from benchmarks.peers.prepare import PreparationError, Workshop, size_of
from benchmarks.peers.rounds import run_rounds, warm_up
from benchmarks.peers.variants import PEERS, Variant, environments_of, own_variants
from benchmarks.results import ROOT

OWN = "sewd"  # our artifact, and the prefix of our variants' names


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run measures and where.

    cores: n threads are pinned to the first n of these.
    note: the state of the machine, for readers of the results.
    """

    clips_s: Sequence[float] = (2.0, 10.0, 30.0)
    threads: Sequence[int] = (1, 2)
    cores: Sequence[int] = ()
    rounds: int | None = None
    repeats: int = 2
    patterns: Sequence[str] = ("*",)
    note: str = ""

    @property
    def clips(self) -> list[str]:
        """The clips' names."""
        return [f"{length_s:g}" for length_s in self.clips_s]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A variant of a model, ready to be opened."""

    name: str
    model: Model
    variant: Variant
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One comparison under way.

    reference: what every error is measured against: transformers in float32.
    failed: entries that do not run, and why.
    """

    comparison: Comparison
    settings: Settings
    workshop: Workshop
    entries: dict[str, Entry]
    reference: Variant = PEERS[0]
    failed: dict[str, str] = field(default_factory=dict)

    def open(self, entry: Entry, threads: int) -> Worker:
        """Start the worker of an entry; raises WorkerError."""
        launch = Launch(
            python=self.workshop.python(entry.variant.environment),
            opener=entry.variant.opener,
            path=entry.path,
            options=entry.variant.options,
            clips=self.workshop.audio / "clips.npz",
            threads=threads,
            cores=self.settings.cores[:threads],
            variables=self.workshop.variables(threads=threads),
            log=self.workshop.folder / "logs" / f"{entry.name.replace(' ', '.')}.{threads}.txt",
        )
        return Worker(launch)

    def wants(self, name: str) -> bool:
        """Return whether a variant of this name takes part."""
        return all(
            any(fnmatch(name, pattern) for pattern in patterns)
            for patterns in (self.comparison.variants, self.settings.patterns)
        )

    def wants_any_of(self, prefix: str) -> bool:
        """Return whether any variant with this prefix could take part."""
        return all(
            any(pattern.startswith(("*", prefix)) for pattern in patterns)
            for patterns in (self.comparison.variants, self.settings.patterns)
        )

    def fail(self, name: str, error: Exception) -> None:
        """Record that an entry does not run."""
        # Results must not contain paths of this machine.
        self.failed.setdefault(name, str(error).replace(f"{ROOT}/", ""))
        print(f"  {name} does not run: {error}", flush=True)


def prepare(comparison: Comparison, settings: Settings, workshop: Workshop) -> Run:
    """Make what the comparison needs; note what cannot be made, and leave it out."""
    run = Run(comparison=comparison, settings=settings, workshop=workshop, entries={})
    for model in (MODELS[name] for name in comparison.models):
        own, refused = _own(run, model)
        for variant in [*PEERS, *own]:
            if not run.wants(variant.name):
                continue
            name = variant.name if len(comparison.models) == 1 else f"{model.name} {variant.name}"
            path = workshop.checkpoint(model)
            try:
                if variant.ours and (reason := refused.get(variant.options.get("precision", ""))):
                    raise PreparationError(reason)
                path = workshop.artifact(model, variant.artifact)
                path = path.with_name(variant.file) if variant.file else path
            except PreparationError as error:
                run.fail(name, error)
            run.entries[name] = Entry(name=name, model=model, variant=variant, path=path)
    return run


def _own(run: Run, model: Model) -> tuple[list[Variant], dict[str, str]]:
    """Return our variants of a model, and the precisions that the export refused, with the reasons.

    If the whole export fails, float32 is the one refused.
    """
    if model.kind != "sew-d" or not run.wants_any_of(OWN):
        return [], {}
    try:
        bundle = run.workshop.artifact(model, OWN)
    except PreparationError as error:
        return list(own_variants(["fp32"])), {"fp32": str(error)}
    precisions = json.loads(bundle.read_text(encoding="utf-8"))["precisions"]
    refused = json.loads((bundle.parents[1] / REFUSED).read_text(encoding="utf-8"))
    return list(own_variants([*precisions, *refused])), refused


def measure_errors(run: Run) -> dict[str, dict[str, Any]]:
    """Return each entry's errors against the reference, one worker at a time.

    A trained model is measured on the utterances, transcripts included; random weights on the timed clips.
    Entries that fail here are not timed: speed is never reported without an error.
    """
    errors = {}
    for model in (MODELS[name] for name in run.comparison.models):
        checkpoint = run.workshop.checkpoint(model)
        original = Entry(name=f"{model.name} reference", model=model, variant=run.reference, path=checkpoint)
        reference = _logits(run, original)
        for name, entry in run.entries.items():
            if entry.model is not model or name in run.failed:
                continue
            print(f"  error of {name}", flush=True)
            try:
                found = reference if entry.variant is run.reference else _logits(run, entry)
                errors[name] = accuracy.compare(found, reference)
            except (WorkerError, ValueError) as error:
                run.fail(name, error)
                continue
            if model.trained:
                about = json.loads((run.workshop.audio / "utterances.json").read_text(encoding="utf-8"))
                tokens = accuracy.read_tokens(checkpoint)
                errors[name] |= accuracy.score(found, reference, tokens=tokens, about=about)
    return errors


def _logits(run: Run, entry: Entry) -> dict[str, NDArray[np.float32]]:
    """Return the logits of one entry; raises WorkerError."""
    file = run.workshop.audio / ("utterances.npz" if entry.model.trained else "clips.npz")
    to = run.workshop.folder / "logits.npz"
    with run.open(entry, max(run.settings.threads)) as worker:
        worker.write_logits(file, to)
    found = accuracy.read_logits(to)
    to.unlink()
    return found


def measure_times(run: Run) -> dict[tuple[int, str, str], list[float]]:
    """Return the seconds of every entry that runs, by threads, clip and name."""
    settings = run.settings
    rounds = settings.rounds or run.comparison.rounds
    seconds: dict[tuple[int, str, str], list[float]] = {}
    for threads in settings.threads:
        with ExitStack() as stack:
            workers = dict(_open_all(run, threads, stack))
            once_s = warm_up(workers, settings.clips, fail=run.fail)
            workers = {name: worker for name, worker in workers.items() if name not in run.failed}
            minutes = once_s * rounds * settings.repeats / 60
            print(
                f"  threads {threads}: {len(workers)} variants, {rounds} rounds, {minutes:.0f} min",
                flush=True,
            )
            found = run_rounds(
                workers, settings.clips, rounds=rounds, repeats=settings.repeats, fail=run.fail
            )
        seconds |= {(threads, clip, name): series for (clip, name), series in found.items()}
    return {key: series for key, series in seconds.items() if key[2] not in run.failed}


def _open_all(run: Run, threads: int, stack: ExitStack) -> Iterator[tuple[str, Worker]]:
    """Yield the workers of the entries that can be opened; `stack` closes them."""
    for name, entry in run.entries.items():
        if name in run.failed:
            continue
        try:
            yield name, stack.enter_context(run.open(entry, threads))
        except WorkerError as error:
            run.fail(name, error)


def run_comparison(comparison: Comparison, settings: Settings, workshop: Workshop) -> dict[str, Any]:
    """Return the content of one file of results."""
    print(f"{comparison.name}: {comparison.title}", flush=True)
    run = prepare(comparison, settings, workshop)
    errors = measure_errors(run)
    seconds = measure_times(run)
    return assemble(run, errors, seconds)


def assemble(run: Run, errors: Mapping[str, Mapping[str, Any]], seconds: results.Seconds) -> dict[str, Any]:
    """Return the content of a file of results."""
    comparison, settings, workshop = run.comparison, run.settings, run.workshop
    variants = [entry.variant for entry in run.entries.values()]
    environments = {"main", *(one for variant in variants for one in environments_of(variant))}
    about = json.loads((workshop.audio / "utterances.json").read_text(encoding="utf-8"))
    about.pop("utterances")
    return {
        "comparison": comparison.name,
        "title": comparison.title,
        "note": settings.note,
        "machine": machine.describe(),
        "environments": {name: workshop.versions(name) for name in sorted(environments)},
        "settings": {
            "rounds": settings.rounds or comparison.rounds,
            "repeats": settings.repeats,
            "clips_s": list(settings.clips_s),
            "threads": list(settings.threads),
            "cores": list(settings.cores),
            "speech": about,
        },
        "variants": [_describe(run, name, errors.get(name)) for name in run.entries],
        "times": results.time_rows(seconds),
        "ratios": results.ratio_rows(seconds, _baselines(run)),
    }


def _describe(run: Run, name: str, errors: Mapping[str, Any] | None) -> dict[str, Any]:
    entry = run.entries[name]
    row = {"name": name, "model": entry.model.name, "variant": entry.variant.name}
    row |= {
        key: getattr(entry.variant, key)
        for key in ("ours", "engine", "precision", "environment", "made", "runs")
    }
    if name in run.failed:
        return {**row, "failed": run.failed[name]}
    return {**row, "size_bytes": size_of(entry.path), "errors": errors}


def _baselines(run: Run) -> dict[str, list[str]]:
    """Return the baselines of each entry: variants of its model, or the same variant of another model."""
    comparison = run.comparison
    if comparison.baseline_model is None:
        return {name: list(comparison.baselines) for name in run.entries}
    return {
        name: [f"{comparison.baseline_model} {entry.variant.name}"] for name, entry in run.entries.items()
    }
