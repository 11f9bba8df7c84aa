"""``make bench-edge``: the C++ sample on one core, the sizes of models and runtimes, and their operators.

Writes benchmarks/results/edge.json, the figures of docs/edge.md and the list of operators beside the sample.
Run it on a machine with nothing else to do. Sizes of what is not here are kept from the last run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import soundfile

from benchmarks import machine
from benchmarks.markdown import replace_section, table
from benchmarks.results import RESULTS, ROOT, read, write
from sewd_export.layouts.ort_format import OPERATORS_NAME, write_ort
from sewd_export.layouts.site import write_site
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.system.machine import describe_versions

FILE, DOCUMENT = RESULTS / "edge.json", ROOT / "docs/edge.md"
SAMPLE = ROOT / "examples/edge"
HEADERS = ROOT / "build/edge/usr"
OPERATORS = SAMPLE / OPERATORS_NAME
EMBEDDED = {name: ROOT / "runtime/sewd_runtime/models" / name for name in ("digits", "keywords")}
CLIPS = ROOT / "export/sewd_export/speech"
RATE_HZ = 16_000
PRECISIONS = ("fp32", "int8")

_ONE_CORE = """
import json, os, sys, time
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
start_s = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ), 0)
print(json.dumps([time.perf_counter() - start_s, usage.ru_maxrss * 1024]))
sys.exit(status != 0)
"""
"""Run a program on one core; print its seconds and peak memory, which includes that of a larger parent."""


def build_sample(folder: Path, *options: str) -> Path:
    """Build the sample with the onnxruntime that Python imports; return the program."""
    [library] = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    (folder / "lib").mkdir(parents=True, exist_ok=True)
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / "lib" / name).unlink(missing_ok=True)
        (folder / "lib" / name).symlink_to(library)
    prefixes = f"-DCMAKE_PREFIX_PATH={HEADERS};{folder}"
    for command in (["-S", SAMPLE, "-B", folder, prefixes, *options], ["--build", folder]):
        done = subprocess.run(["cmake", *command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
    return folder / "transcribe"


def merge_operators(files: Iterable[Path]) -> str:
    """Return one list of operators for the models of several lists."""
    names: dict[tuple[str, int], set[str]] = defaultdict(set)
    for path in files:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                domain, opset, operators = line.split(";")
                names[domain, int(opset)].update(operators.split(","))
    lines = [f"{domain};{opset};{','.join(sorted(names[domain, opset]))}" for domain, opset in sorted(names)]
    return "\n".join(["# digits and keywords, fp32 and int8; written by `make bench-edge`", *lines]) + "\n"


def main() -> None:
    """Measure, write the results, and put the figures into the document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.edge", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="(default: 15)")
    parser.add_argument("--bundle", type=Path, help="a bundle of SEW-D tiny's dimensions, for its size")
    parser.add_argument("--packages", type=Path, default=ROOT / "web/node_modules", help="of npm, for sizes")
    options = parser.parse_args()
    bundles = {**EMBEDDED, **({"SEW-D tiny's dimensions": options.bundle} if options.bundle else {})}
    before = read(FILE) or {"sizes": {"models": {}, "runtimes": {}}}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ort = {name: write_ort(path, folder / name) for name, path in bundles.items()}
        OPERATORS.write_text(merge_operators(ort[name] / OPERATORS_NAME for name in EMBEDDED), "utf-8")
        models = {name: dict(_model_sizes(path, ort[name])) for name, path in bundles.items()}
        runtimes = dict(_runtime_sizes(options.packages, folder))
        content = {
            "machine": machine.describe(),
            "versions": describe_versions(),
            "load_before": os.getloadavg()[0],
            "rounds": options.rounds,
            "runs": list(_measure_runs(folder, ort["digits"], options.rounds)),
            "sizes": {
                "models": before["sizes"]["models"] | models,
                "runtimes": before["sizes"]["runtimes"] | runtimes,
            },
        }
    write(FILE, content)
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, section in (("figures", figures(content)), ("sizes", sizes(content["sizes"]))):
        text = replace_section(text, name, section, command="make bench-edge")
    DOCUMENT.write_text(text, encoding="utf-8")


def _measure_runs(folder: Path, ort: Path, rounds: int) -> Iterator[dict[str, Any]]:
    """Yield the seconds and the peak memory of each way, from the start of its process to the end."""
    digits = EMBEDDED["digits"]
    program = str(build_sample(folder / "build", "-DCMAKE_BUILD_TYPE=Release"))
    files = [digits / f"model.{precision}.onnx" for precision in PRECISIONS]
    files += [ort / f"model.{precision}.ort" for precision in PRECISIONS]
    ways = {path.name: [program, str(digits), str(path)] for path in files}
    ways["sewd transcribe, model.int8.onnx"] = [
        *(sys.executable, "-m", "sewd_runtime", "transcribe", "--threads", "1", "--precision", "int8")
    ]
    recordings = _write_recordings(folder)
    found: dict[str, dict[str, list[Any]]] = {name: {length: [] for length in recordings} for name in ways}
    for _ in range(rounds):
        for name, command in ways.items():
            for length, path in recordings.items():
                found[name][length].append(_run([*command, str(path)]))
    for name, lengths in found.items():
        yield {"name": name, "precision": "int8" if "int8" in name else "fp32"} | {
            length: {
                "seconds": [round(seconds, 4) for seconds, _ in values],
                "peak_bytes": statistics.median(peak for _, peak in values),
            }
            for length, values in lengths.items()
        }


def _write_recordings(folder: Path) -> dict[str, Path]:
    """Write the shortest recording that the model takes, and 10 s of speech."""
    shortest = open_bundle(EMBEDDED["digits"]).manifest.min_samples
    clips = [soundfile.read(path, dtype="int16")[0] for path in sorted(CLIPS.glob("*.flac"))]
    speech = np.concatenate(clips)[: 10 * RATE_HZ]
    paths = {"start": folder / "shortest.wav", "speech": folder / "speech.wav"}
    for path, samples in zip(paths.values(), (speech[:shortest], speech), strict=True):
        soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")
    return paths


def _run(command: Sequence[str]) -> tuple[float, int]:
    whole = [sys.executable, "-S", "-c", _ONE_CORE, *command]
    done = subprocess.run(whole, check=True, capture_output=True, text=True)
    seconds, peak_bytes = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak_bytes


def _model_sizes(bundle: Path, ort: Path) -> Iterator[tuple[str, int]]:
    for precision in PRECISIONS:
        for path in (bundle / f"model.{precision}.onnx", ort / f"model.{precision}.ort"):
            yield path.name, path.stat().st_size


def _runtime_sizes(packages: Path, folder: Path) -> Iterator[tuple[str, int]]:
    """Yield the sizes of those runtimes that are here."""
    [library] = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    yield f"Linux, x86-64: `onnxruntime` {onnxruntime.__version__} of PyPI", library.stat().st_size
    arm = packages / "onnxruntime-node/bin/napi-v6/linux/arm64/libonnxruntime.so.1"
    if arm.is_file():
        yield (
            f"Linux, Arm: `onnxruntime-node` {_version(packages / 'onnxruntime-node')} of npm",
            arm.stat().st_size,
        )
    android = packages / "com.github.asus4.onnxruntime/Plugins/Android/onnxruntime.aar"
    if android.is_file():
        entry = zipfile.ZipFile(android).getinfo("jni/arm64-v8a/libonnxruntime.so")
        name = "Android, arm64-v8a: `onnxruntime-android` 1.29.0"
        yield name, entry.file_size
        yield f"{name}, compressed", entry.compress_size
    if (packages / "onnxruntime-web").is_dir():
        page = write_site(EMBEDDED["digits"], folder / "page", ort_web=packages / "onnxruntime-web")
        name = f"Browser: `onnxruntime-web` {_version(packages / 'onnxruntime-web')} of npm, compressed"
        yield name, _total(page / "ort")
        yield "Browser: the whole page of `sewd-export --web`, digits in `int8`", _total(page)


def _version(package: Path) -> str:
    return str(json.loads((package / "package.json").read_text(encoding="utf-8"))["version"])


def _total(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def figures(content: Mapping[str, Any]) -> str:
    """Return the times and memory as text."""
    errors = {
        row["name"]: row.get("errors") for row in (read(RESULTS / "peers_digits.json") or {})["variants"]
    }
    rows = [
        [
            row["name"],
            f"{1000 * statistics.median(row['start']['seconds']):.0f} ms",
            f"{1000 * statistics.median(row['speech']['seconds']):.0f} ms",
            f"{row['start']['peak_bytes'] / 1e6:.0f} MB",
            f"{row['speech']['peak_bytes'] / 1e6:.0f} MB",
            f"{errors['sewd-' + row['precision']]['wer']:.2%}",
        ]
        for row in content["runs"]
    ]
    head = ["digits", "start", "start and 10 s of speech", "memory, start", "memory, 10 s", "WER"]
    versions = content["versions"]
    note = (
        "From the start of the process to its end, files in the page cache, and peak resident memory; "
        f"medians of {content['rounds']} rounds in turns on one core of {content['machine']['processor']}, "
        f"onnxruntime {versions['onnxruntime']}, load {content['load_before']:.1f} before. Word error rates "
        "are those of [peers.md](peers.md); the ORT format gives what ONNX gives to the last bit."
    )
    return "\n".join([*table(head, rows), "", note])


def sizes(content: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the sizes as text."""
    names = [f"model.{precision}.{kind}" for precision in PRECISIONS for kind in ("onnx", "ort")]
    models = [
        [name, *(f"{files[each] / 1e6:.1f}" for each in names)] for name, files in content["models"].items()
    ]
    runtimes = [[name, f"{size / 1e6:.1f}"] for name, size in content["runtimes"].items()]
    head = ["model", *(f"`{each.removeprefix('model.')}`" for each in names)]
    return "\n".join([*table(head, models), "", *table(["runtime", "library"], runtimes)])


if __name__ == "__main__":
    main()
