"""What the runtime's tests share: a real small bundle, the speech folder, a model of numpy."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.bundle.language_model import LanguageModelEntry
from sewd_runtime.bundle.manifest import (
    CtcEntry,
    FileEntry,
    Manifest,
    Parity,
    PrecisionEntry,
    Provenance,
    Tolerance,
)
from sewd_runtime.inference.network import Network
from sewd_runtime.inference.session import pad
from sewd_runtime.system.hashing import sha256_of

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "data" / "tiny"


@pytest.fixture(scope="session")
def tiny_bundle() -> Path:
    """A CTC bundle with random weights, exported by sewd_export."""
    return TINY


@pytest.fixture
def broken_bundle(tmp_path: Path, tiny_bundle: Path) -> Path:
    """A copy of the tiny bundle, to be damaged."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "broken"))


@pytest.fixture
def rehash() -> Callable[[Path], None]:
    """Return a function that writes the size and hash of a file into the manifest beside it."""

    def write(path: Path) -> None:
        source = path.parent / "bundle.json"
        manifest = json.loads(source.read_text())
        manifest["files"][path.name] = {"size_bytes": path.stat().st_size, "sha256": sha256_of(path)}
        source.write_text(json.dumps(manifest))

    return write


@pytest.fixture(scope="session")
def speech() -> Path:
    folder = Path(os.environ.get("SEWD_SPEECH", ROOT.parent / "shared" / "speech"))
    if not folder.is_dir():
        pytest.skip(f"no speech data in {folder}; set SEWD_SPEECH")
    return folder


@pytest.fixture
def manifest() -> Manifest:
    """A manifest that names no real file."""
    files = ("config.json", "golden.npz", "lm.bin", "model.fp32.onnx", "model.int8.onnx", "vocab.json")
    precision = PrecisionEntry(
        file="model.fp32.onnx",
        opset=20,
        domains=("com.microsoft",),
        calibrated=True,
        tolerance=Tolerance(max_abs=1e-4, relative=1e-5, batch_error=1e-5),
        parity=Parity(
            cases=17,
            max_abs=1e-6,
            relative=1e-7,
            batch_error=0.0,
            label_agreement=1.0,
            transcript_agreement=1.0,
            words=27,
            wer=0.037,
            original_wer=0.0,
        ),
    )
    return Manifest(
        name="digits",
        task="ctc",
        family="sew-d",
        sample_rate_hz=16_000,
        receptive_field=400,
        stride=320,
        min_samples=400,
        num_outputs=32,
        ctc=CtcEntry(
            blank_id=0, unknown_token="<unk>", word_delimiter="|", do_lower_case=False, clean_up_spaces=True
        ),
        precisions={"fp32": precision, "int8": dataclasses.replace(precision, file="model.int8.onnx")},
        failed={"fp16": "fp16 failed verification on 'silence'"},
        files={name: FileEntry(size_bytes=3, sha256="0" * 64) for name in files},
        provenance=Provenance(
            checkpoint="asapp/sew-d-tiny-100k-ft-ls100h",
            checkpoint_sha256="1" * 64,
            versions={"torch": "2.13.0", "onnx": "1.23.2"},
        ),
        language_model=LanguageModelEntry(file="lm.bin", alpha=0.5, beta=1.5, unknown_score=-10.0),
    )


class NumpySession:
    """The interface of ``Session`` in numpy: frames times a random matrix; remembers the shapes given."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.weights = np.random.default_rng(0).normal(size=(manifest.receptive_field, manifest.num_outputs))
        self.shapes: list[tuple[int, ...]] = []

    def run(self, values: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.shapes.append(values.shape)
        field, stride = self.manifest.receptive_field, self.manifest.stride
        frames = np.lib.stride_tricks.sliding_window_view(values, field, axis=1)[:, ::stride]
        output = (frames @ self.weights).astype(np.float32)
        counts = 1 + (lengths - field) // stride
        for item, count in zip(output, counts, strict=True):
            item[count:] = np.nan  # what lies past an item's end must never be used
        if self.manifest.task == "classification":
            output = np.stack([item[:count].mean(axis=0) for item, count in zip(output, counts, strict=True)])
        return output, counts


@pytest.fixture
def numpy_network(manifest: Manifest) -> Callable[[str], Network]:
    """Make a network for a task that runs in numpy."""

    def make(task: str) -> Network:
        ours = dataclasses.replace(manifest, task=task, ctc=manifest.ctc if task == "ctc" else None)
        session = NumpySession(ours)
        return Network(bundle=Bundle(path=Path("numpy"), manifest=ours), precision="fp32", session=session)

    return make


@pytest.fixture
def recordings() -> list[np.ndarray]:
    """Samples of all sorts of lengths, odd ones too, in no order."""
    rng = np.random.default_rng(0)
    lengths = (16_001, 400, 401, 0, 719, 720, 47_777, 399, 16_000, 5_000, 5_000, 160_000, 1)
    return [rng.normal(0, 0.1, length).astype(np.float32) for length in lengths]


@pytest.fixture
def run_alone() -> Callable[[Network, np.ndarray], np.ndarray]:
    """Run one recording by itself, past all batching."""

    def run(network: Network, samples: np.ndarray) -> np.ndarray:
        output, lengths = network.session.run(*pad([samples]))
        return output[0] if network.manifest.task == "classification" else output[0, : lengths[0]]

    return run
