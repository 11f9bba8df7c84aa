"""A table of a benchmark's document."""

from collections.abc import Iterator, Mapping
from typing import Any

from sewd_runtime.system.terminal import printable

_MS = 1e3
_MB = 1e-6


def as_table(document: Mapping[str, Any]) -> str:
    """Return a document of ``run_benchmark`` as text, with a final newline."""
    lines = (
        *_head(document),
        *_latency(document),
        *_batches(document),
        *_cold_start(document),
        *_rest(document),
    )
    return "\n".join(map(printable, lines)) + "\n"


def _head(document: Mapping[str, Any]) -> Iterator[str]:
    machine, bundle, method = document["machine"], document["bundle"], document["method"]
    memory = machine["memory_bytes"]
    facts = [
        f"{machine['processor']} ({machine['architecture']})",
        f"{machine['cores']} of {machine['cores_total']} cores",
        *([] if memory is None else [f"{memory / 1e9:.1f} GB"]),
        f"load {'unknown' if machine['load_before'] is None else machine['load_before']} before",
    ]
    versions = [f"{name} {version}" for name, version in document["versions"].items()]
    sizes = f"model {bundle['model_bytes'] * _MB:.1f} MB, bundle {bundle['bundle_bytes'] * _MB:.1f} MB"
    for key, value in (
        ("machine", ", ".join(facts)),
        ("system", f"{machine['os']}, Python {machine['python']}"),
        ("versions", ", ".join(versions)),
        (
            "bundle",
            f"{bundle['name']} (sha256 {bundle['sha256'][:12]}), {bundle['precision']}, {bundle['provider']}",
        ),
        ("size", sizes),
        ("method", f"{method['rounds']} rounds over all cases; {method['warm_up']}"),
        ("audio", method["audio"]),
    ):
        yield f"{key:<10}{value}"


def _latency(document: Mapping[str, Any]) -> Iterator[str]:
    row = "{:>8}{:>10}{:>10}{:>10}{:>10}{:>9}{:>9}"
    yield ""
    yield f"latency: {document['method']['latency']}"
    yield row.format("threads", "seconds", "min ms", "p50 ms", "p90 ms", "spread", "RTF")
    for case in document["latency"]:
        times = [f"{case[name] * _MS:.1f}" for name in ("min_s", "p50_s", "p90_s")]
        yield row.format(
            case["threads"], f"{case['seconds']:g}", *times, _percent(case["spread"]), f"{case['rtf']:.4f}"
        )


def _batches(document: Mapping[str, Any]) -> Iterator[str]:
    row = "{:>8}{:>10}{:>12}{:>9}{:>12}{:>9}"
    method = document["method"]
    shortest, longest = method["batch_clip_seconds"]
    yield ""
    yield f"seconds of audio per second, clips of {shortest:g} to {longest:g} s, {_threads(method)}"
    yield from (f"  {kind}: {meaning}" for kind, meaning in method["batches"].items())
    kinds = tuple(method["batches"])
    yield row.format("clips", "audio s", *(cell for kind in kinds for cell in (kind, "spread")))
    by_size = {(case["clips"], case["kind"]): case for case in document["batches"]}
    for clips in sorted({case["clips"] for case in document["batches"]}):
        cases = [by_size[clips, kind] for kind in kinds]
        speeds = [cell for case in cases for cell in (f"{case['audio_per_s']:.1f}", _percent(case["spread"]))]
        yield row.format(clips, f"{cases[0]['seconds']:.1f}", *speeds)


def _cold_start(document: Mapping[str, Any]) -> Iterator[str]:
    row = "{:>8}{:>10}{:>10}{:>10}{:>10}{:>10}"
    method, parts = document["method"], document["cold_start"]
    yield ""
    yield f"cold start, ms, {_threads(method)}: {method['cold_start']}"
    first = f"{method['first_clip_seconds']:g} s clip"
    yield row.format("", "python", "import", "load", first, "total")
    for name in ("min_s", "p50_s", "p90_s"):
        yield row.format(name.removesuffix("_s"), *(f"{part[name] * _MS:.1f}" for part in parts.values()))


def _rest(document: Mapping[str, Any]) -> Iterator[str]:
    method = document["method"]
    yield ""
    yield f"peak memory, {_threads(method)}: {method['peak_memory']}"
    yield "{:>8}{:>10}".format("seconds", "MB")
    for peak in document["peak_memory"]:
        shown = "unknown" if peak["peak_bytes"] is None else f"{peak['peak_bytes'] * _MB:.1f}"
        yield f"{peak['seconds']:>8g}{shown:>10}"
    yield ""
    idle = _percent(document["idle_share"], digits=2)
    yield f"idle: {idle} of a core in the second after a run, {_threads(method)}"


def _threads(method: Mapping[str, Any]) -> str:
    count = method["threads_of_batches_and_processes"]
    return f"{count} thread{'' if count == 1 else 's'}"


def _percent(share: float, *, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"
