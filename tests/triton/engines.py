"""Bundles with files that stand for TensorRT engines, which only a GPU builds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from sewd_export.bundle import hash_files, write_manifest
from sewd_runtime.bundle.engines import BatchShape, EngineEntry, Profile, engine_file, engine_key, engine_name
from sewd_runtime.bundle.folder import open_bundle


def add_engine(bundle: Path, builder: str, capability: str, *max_batches: int) -> None:
    """Add a file that stands for an engine, with a profile for each largest batch."""
    manifest = open_bundle(bundle).manifest
    name = engine_name("fp32", builder, capability)
    profiles = tuple(
        Profile(
            min=BatchShape(batch=1, samples=400),
            opt=BatchShape(batch=1, samples=16_000 * batch),
            max=BatchShape(batch=batch, samples=960_000),
        )
        for batch in max_batches
    )
    facts = {"builder": builder, "version": "10.9", "compute_capability": capability, "profiles": profiles}
    key = engine_key(manifest.files["model.fp32.onnx"].sha256, **facts)
    entry = EngineEntry(file=engine_file(name), precision="fp32", key=key, **facts)
    (bundle / entry.file).write_bytes(capability.encode())
    (bundle / "bundle.json").unlink()
    engines = {**manifest.engines, name: entry}
    write_manifest(bundle, dataclasses.replace(manifest, files=hash_files(bundle), engines=engines))
