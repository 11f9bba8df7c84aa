"""Write a bundle as a model repository of the Triton Inference Server.

`NAME`: speech to text in the python backend (`triton_model.py`), with a copy of the bundle; of the task ctc
only. `NAME-PRECISION`: the bundle's graph in the onnxruntime backend. `NAME-PRECISION-tensorrt`: its TensorRT
engines, a file for each compute capability. NAME is the name of the bundle's folder.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sewd_export.errors import ExportWarning
from sewd_export.layouts.writing import write_record
from sewd_export.staging import LAYOUT_NAME, staged
from sewd_runtime.bundle.engines import BatchShape, EngineEntry
from sewd_runtime.bundle.folder import Bundle, open_bundle
from sewd_runtime.bundle.manifest import MANIFEST_NAME, TASKS, Manifest
from sewd_runtime.inference.variants import default_precision

MAX_BATCH = 8
"""Recordings a batch: on CPUs more gain nothing."""

_PROGRAM = Path(__file__).with_name("triton_model.py")
_LENGTHS_NAME = "lengths"

_GRAPH = """\
# Zero-padded samples at {rate_hz} Hz, and their number → {output}. Triton batches requests of equal length.
backend: "{backend}"
max_batch_size: {max_batch}
input [
  {{ name: "input_values" data_type: TYPE_FP32 dims: [ -1 ] }},
  {{ name: "input_lengths" data_type: TYPE_INT64 dims: [ 1 ] reshape {{ shape: [ ] }} }}
]
output [
  {{ name: "{output}" data_type: TYPE_FP32 dims: [ {axes} ] }},
  {{ name: "output_lengths" data_type: TYPE_INT64 dims: [ 1 ] reshape {{ shape: [ ] }} }}
]
dynamic_batching {{ }}
{instances}
model_warmup [
  {{
    name: "silence"
    batch_size: {warm_batch}
    inputs {{
      key: "input_values"
      value {{ data_type: TYPE_FP32 dims: [ {warm_samples} ] zero_data: true }}
    }}
    inputs {{
      key: "input_lengths"
      value {{ data_type: TYPE_INT64 dims: [ 1 ] input_data_file: "{lengths}" }}
    }}
  }}
]
"""

_SPEECH = """\
# Samples at {rate_hz} Hz → text, and a transcript in JSON: the words with their times.
backend: "python"
max_batch_size: {max_batch}
input [ {{ name: "samples" data_type: TYPE_FP32 dims: [ -1 ] allow_ragged_batch: true }} ]
output [
  {{ name: "text" data_type: TYPE_STRING dims: [ 1 ] }},
  {{ name: "transcript" data_type: TYPE_STRING dims: [ 1 ] }}
]
dynamic_batching {{ }}
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
parameters {{ key: "precision" value {{ string_value: "{precision}" }} }}
parameters {{ key: "provider" value {{ string_value: "cpu" }} }}
model_warmup [
  {{
    name: "silence"
    batch_size: 1
    inputs {{ key: "samples" value {{ data_type: TYPE_FP32 dims: [ {rate_hz} ] zero_data: true }} }}
  }}
]
"""


def write_triton(bundle: str | Path, out: str | Path) -> Path:
    """Write a model repository, and return its folder.

    out: what this wrote there earlier is replaced, if it is unchanged.
    Raises ExportError for a folder with anything else; BundleError. Warns (ExportWarning) of engines that
    Triton cannot run.
    """
    opened = open_bundle(Path(bundle))
    opened.verify()
    name, manifest = opened.path.resolve().name, opened.manifest
    with staged(Path(out), record=LAYOUT_NAME) as folder:
        if manifest.ctc is not None:
            _write_speech(opened, folder / name)
        for precision, entry in manifest.precisions.items():
            kind = "KIND_CPU" if "int8" in precision else "KIND_AUTO"
            config = _graph_config(
                manifest,
                backend="onnxruntime",
                instances=f"instance_group [ {{ count: 1 kind: {kind} }} ]",
                max_batch=MAX_BATCH,
                warm=BatchShape(batch=1, samples=manifest.sample_rate_hz),
            )
            _write_graph(opened, folder / f"{name}-{precision}", config, {"model.onnx": entry.file})
        for precision, engines in _usable_engines(opened).items():
            _write_engines(opened, folder / f"{name}-{precision}-tensorrt", engines)
        write_record(folder, "triton")
    return Path(out)


def _write_speech(bundle: Bundle, folder: Path) -> None:
    manifest = bundle.manifest
    copy = folder / "1" / "bundle"
    copy.mkdir(parents=True)
    for name in (MANIFEST_NAME, *manifest.files):
        shutil.copyfile(bundle.path / name, copy / name)
    shutil.copyfile(_PROGRAM, folder / "1" / "model.py")
    config = _SPEECH.format(
        rate_hz=manifest.sample_rate_hz,
        max_batch=MAX_BATCH,
        precision=default_precision(manifest, "cpu"),
    )
    (folder / "config.pbtxt").write_text(config, encoding="utf-8")


def _graph_config(
    manifest: Manifest, *, backend: str, instances: str, max_batch: int, warm: BatchShape
) -> tuple[str, BatchShape]:
    """Return the configuration of a graph, and the shape of its warm-up."""
    task = TASKS[manifest.task]
    config = _GRAPH.format(
        rate_hz=manifest.sample_rate_hz,
        backend=backend,
        max_batch=max_batch,
        output=task.output,
        axes=f"-1, {manifest.num_outputs}" if task.has_frames else manifest.num_outputs,
        instances=instances,
        warm_batch=warm.batch,
        warm_samples=warm.samples,
        lengths=_LENGTHS_NAME,
    )
    return config, warm


def _write_graph(
    bundle: Bundle, folder: Path, config: tuple[str, BatchShape], files: Mapping[str, str]
) -> None:
    """Write a model; files: name in Triton's folder → name in the bundle."""
    for part in ("1", "warmup"):
        (folder / part).mkdir(parents=True)
    text, warm = config
    (folder / "config.pbtxt").write_text(text, encoding="utf-8")
    lengths = np.full(warm.batch, warm.samples, "<i8")
    (folder / "warmup" / _LENGTHS_NAME).write_bytes(lengths.tobytes())
    for name, source in files.items():
        shutil.copyfile(bundle.path / source, folder / "1" / name)


def _usable_engines(bundle: Bundle) -> dict[str, list[EngineEntry]]:
    """Return precision → the engines that Triton's TensorRT can run."""
    engines: dict[str, list[EngineEntry]] = {}
    for name, entry in bundle.manifest.engines.items():
        if entry.builder == "tensorrt":
            engines.setdefault(entry.precision, []).append(entry)
        else:
            warnings.warn(
                f"{bundle.path}: {name} is left out: Triton runs engines of tensorrt, not of {entry.builder}",
                ExportWarning,
                stacklevel=3,
            )
    return engines


def _write_engines(bundle: Bundle, folder: Path, engines: Sequence[EngineEntry]) -> None:
    """Write the engines of one precision; each profile takes every batch that Triton makes."""
    tightest = min(
        (profile for engine in engines for profile in engine.profiles), key=lambda each: each.max.batch
    )
    count = min(len(engine.profiles) for engine in engines)
    profiles = ", ".join(f'"{number}"' for number in range(count))
    files = {f"sm{engine.compute_capability}.plan": engine for engine in engines}
    by_capability = "\n".join(
        f'cc_model_filenames {{ key: "{engine.compute_capability}" value: "{file}" }}'
        for file, engine in files.items()
    )
    versions = ", ".join(sorted({engine.version for engine in engines}))
    config = _graph_config(
        bundle.manifest,
        backend="tensorrt",
        instances=f"instance_group [ {{ count: 1 kind: KIND_GPU profile: [ {profiles} ] }} ]\n"
        f"# Built by TensorRT {versions}: only that version runs them.\n{by_capability}",
        max_batch=tightest.max.batch,
        warm=BatchShape(batch=tightest.min.batch, samples=tightest.opt.samples),
    )
    _write_graph(bundle, folder, config, {file: engine.file for file, engine in files.items()})
