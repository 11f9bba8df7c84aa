"""Law: what `export` writes is the original and says truly where it came from; or nothing is written."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import soundfile
from transformers import SEWDForSequenceClassification, SEWDModel

import sewd_runtime
from sewd_export import Exported, ExportError, export, exporter, verify
from sewd_export.checkpoint.loading import load_checkpoint
from sewd_export.errors import CheckpointError, CheckpointNotFoundError, ParityError
from sewd_export.parity.reference import Oracle
from sewd_export.precisions import PRECISIONS
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.bundle.manifest import Tolerance
from sewd_runtime.errors import BundleHashError, BundleNotFoundError, PrecisionWarning


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def recordings(rate: int) -> list[np.ndarray]:
    random = np.random.default_rng(3)
    return [0.3 * random.standard_normal(n).astype(np.float32) for n in (rate + 1, 161, 2 * rate + 77, 240)]


def test_a_bundle_is_whole(exported: Exported, tiny: Path) -> None:
    bundle = open_bundle(exported.path)
    bundle.verify()
    assert bundle.manifest == exported.manifest
    assert names(exported.path) == sorted({*exported.manifest.files, "bundle.json"})
    for name in ("config.json", "preprocessor_config.json"):
        assert (exported.path / name).read_bytes() == (tiny / name).read_bytes()
    assert names(exported.path.parent) == [exported.path.name]


def test_a_manifest_tells_the_truth(exported: Exported, tiny: Path) -> None:
    manifest = exported.manifest
    assert (manifest.name, manifest.task, manifest.family) == ("checkpoint-tiny", "ctc", "sew-d")
    config = json.loads((tiny / "config.json").read_text())
    assert manifest.num_outputs == config["vocab_size"]
    # kernels 10, 3, 1, 4 and strides 5, 4, 1, 4, worked out by hand
    assert (manifest.receptive_field, manifest.stride, manifest.min_samples) == (80, 80, 80)
    assert manifest.sample_rate_hz == 16_000
    assert manifest.provenance.checkpoint == "checkpoint-tiny"
    weights = (tiny / "model.safetensors").read_bytes()
    assert manifest.provenance.checkpoint_sha256 == hashlib.sha256(weights).hexdigest()
    assert manifest.provenance.versions == {
        name: version(name) for name in ("sewd", "torch", "transformers", "onnx", "onnxruntime")
    }
    [(name, entry)] = manifest.precisions.items()
    assert (name, entry.domains, entry.tolerance) == ("fp32", (), PRECISIONS["fp32"].tolerance)
    [report] = exported.reports
    assert entry.parity == report.evidence
    assert 0 < entry.parity.max_abs <= entry.tolerance.max_abs
    assert entry.parity.cases == len(report.cases) > 15
    assert str(report) in exported.report


def test_an_export_gives_the_same_bytes_again(exported: Exported, tiny: Path, tmp_path: Path) -> None:
    again = export(str(tiny) + "/", tmp_path / "bundle")
    for name in exported.manifest.files:
        assert (again.path / name).read_bytes() == (exported.path / name).read_bytes(), name
    assert again.manifest.files == exported.manifest.files


def test_an_export_leaves_the_checkpoint_alone(
    checkpoint: Path, without_trace: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in [*checkpoint.iterdir(), checkpoint]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in checkpoint.iterdir()}
    monkeypatch.chdir(checkpoint)
    exported = export(".", checkpoint.parent / "bundle")
    assert exported.manifest.name == "tiny"
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in checkpoint.iterdir()}
    assert after == before
    assert all(
        path.stat().st_mode & 0o200 for path in exported.path.iterdir()
    )  # the copies are not read-only


def test_the_runtime_gives_what_the_original_gives(exported: Exported, tiny: Path) -> None:
    recognizer = sewd_runtime.Recognizer.load(exported.path)
    oracle = Oracle(load_checkpoint(tiny))
    found = recognizer.logits(recordings(16_000))
    for samples, logits in zip(recordings(16_000), found, strict=True):
        np.testing.assert_allclose(logits, oracle(samples), atol=1e-4)


def test_float16_comes_with_float32_and_evidence_of_its_own(
    exported: Exported, exported_half: Exported
) -> None:
    manifest = exported_half.manifest
    assert list(manifest.precisions) == ["fp32", "fp16", "int8-static"]
    assert manifest.files["model.fp32.onnx"] == exported.manifest.files["model.fp32.onnx"]
    half, single = manifest.precisions["fp16"], manifest.precisions["fp32"]
    assert (half.opset, half.domains, half.tolerance) == (20, (), PRECISIONS["fp16"].tolerance)
    assert single.parity == exported.manifest.precisions["fp32"].parity
    assert single.parity.max_abs < half.parity.max_abs <= half.tolerance.max_abs
    assert half.parity.batch_error <= half.tolerance.batch_error
    assert half.parity.label_agreement is not None
    assert half.parity.label_agreement > 0.99
    assert exported_half.report.count(" against the original\n") == 3
    with pytest.warns(PrecisionWarning):
        recognizer = sewd_runtime.Recognizer.load(exported_half.path, precision="fp16")
    assert all(np.isfinite(logits).all() for logits in recognizer.logits(recordings(16_000)))


def test_8_bits_are_calibrated_on_recordings(exported_half: Exported) -> None:
    entry = exported_half.manifest.precisions["int8-static"]
    assert (entry.opset, entry.domains, entry.calibrated) == (20, (), True)
    assert exported_half.manifest.precisions["fp16"].calibrated is None
    assert entry.parity.relative <= entry.tolerance.relative
    names = [node.name for node in ir.load(exported_half.path / entry.file).graph]
    assert any(str(name).endswith("intermediate/MatMul/even") for name in names)
    recognizer = sewd_runtime.load(exported_half.path, precision="int8-static")
    assert all(np.isfinite(logits).all() for logits in recognizer.logits(recordings(16_000)))


def test_calibration_is_for_precisions_with_ranges(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="calibrate is for int8-static"):
        export(tiny, tmp_path / "bundle", precisions=("int8",), calibrate=tmp_path)
    with pytest.raises(ExportError, match="no recordings"):
        export(tiny, tmp_path / "bundle", precisions=("int8-static",), calibrate=tmp_path)
    assert not (tmp_path / "bundle").exists()


def test_a_classifier_makes_the_round_trip(exported_classifier: Exported) -> None:
    assert exported_classifier.path.name == "my.model-bundle"
    manifest = exported_classifier.manifest
    assert (manifest.name, manifest.provenance.checkpoint) == ("my.model", "my.model")
    assert (manifest.task, manifest.num_outputs, manifest.sample_rate_hz) == ("classification", 3, 8_000)
    assert "labels.json" in manifest.files
    assert "vocab.json" not in manifest.files
    evidence = manifest.precisions["fp32"].parity
    assert (evidence.label_agreement, evidence.transcript_agreement) == (1.0, None)
    classifier = sewd_runtime.Classifier.load(exported_classifier.path)
    checkpoint = load_checkpoint(exported_classifier.path.with_name("my.model"))
    oracle = Oracle(checkpoint)
    assert isinstance(oracle.model, SEWDForSequenceClassification)
    seen = set()
    for samples in recordings(8_000):
        expected = np.argsort(-oracle(samples))
        found = classifier.classify(samples)
        assert found.labels == tuple(oracle.model.config.id2label[int(i)] for i in expected)
        seen |= set(found.labels)
    assert seen == {"yes", "no", "unknown"}


def test_an_encoder_makes_the_round_trip(exported_encoder: Exported, encoder: Path) -> None:
    manifest = exported_encoder.manifest
    assert (manifest.task, manifest.ctc, manifest.num_outputs) == ("encoding", None, 32)
    assert sorted(manifest.files) == ["config.json", "golden.npz", "model.fp32.onnx"]
    evidence = manifest.precisions["fp32"].parity
    assert (evidence.label_agreement, evidence.transcript_agreement) == (None, None)
    model = sewd_runtime.Encoder.load(exported_encoder.path)
    oracle = Oracle(load_checkpoint(encoder))
    assert isinstance(oracle.model, SEWDModel)
    for samples, found in zip(recordings(16_000), model.hidden_states(recordings(16_000)), strict=True):
        assert found.shape == (1 + (len(samples) - 80) // 80, 32)
        np.testing.assert_allclose(found, oracle(samples), atol=1e-4)


# What is refused.


@pytest.mark.parametrize("precisions", [("fp64",), ("fp32", "fp23"), ()])
def test_unknown_precisions_are_refused_before_anything_is_read(
    tmp_path: Path, precisions: tuple[str, ...]
) -> None:
    with pytest.raises(ExportError, match=f"choose from {', '.join(PRECISIONS)}"):
        export(tmp_path / "absent", tmp_path / "bundle", precisions=precisions)
    assert names(tmp_path) == []


def test_a_miss_of_the_tolerance_writes_nothing(
    tiny: Path, bundle: Path, without_trace: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    impossible = Tolerance(max_abs=1e-30, relative=1e-30, batch_error=1e-30)
    monkeypatch.setitem(PRECISIONS, "fp32", dataclasses.replace(PRECISIONS["fp32"], tolerance=impossible))
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    with pytest.raises(
        ParityError, match=r"fp32 failed verification on '.+': absolute error .* > 1e-30 \(and \d+ more\): "
    ):
        export(tiny, bundle)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
    with pytest.raises(ParityError):
        export(tiny, bundle.with_name("new"))
    assert names(bundle.parent) == ["bundle"]


def test_the_checkpoint_cannot_be_its_own_bundle(checkpoint: Path) -> None:
    before = names(checkpoint)
    with pytest.raises(ExportError, match="tiny: exists and is not a bundle"):
        export(checkpoint, checkpoint)
    assert names(checkpoint) == before


def test_a_bundle_is_no_checkpoint(bundle: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match="a bundle, exported already"):
        export(bundle, bundle.with_name("other"))
    assert names(bundle.parent) == ["bundle"]


def test_the_golden_utterance_is_checked_with_the_runtime(
    tiny: Path, tmp_path: Path, without_trace: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = exporter.write_golden
    monkeypatch.setattr(exporter, "write_golden", lambda folder, x, y: write(folder, x, y + np.float32(0.01)))
    with pytest.raises(ParityError, match="the runtime misses the golden utterance"):
        export(tiny, tmp_path / "bundle")
    assert names(tmp_path) == []


# Verification.


def test_an_export_verifies_with_its_checkpoint(
    exported: Exported, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [report] = verify(exported.path, tiny)
    report.check()
    assert report.evidence == exported.manifest.precisions["fp32"].parity
    monkeypatch.chdir(tiny.parent)
    [found_by_name] = verify(exported.path)
    assert found_by_name == report


def test_another_checkpoint_is_refused_by_its_hash(exported: Exported, encoder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"sha256 .* was made from checkpoint-tiny, sha256"):
        verify(exported.path, encoder)


def test_a_checkpoint_that_is_not_found_must_be_named(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        CheckpointNotFoundError, match="made from checkpoint-tiny, which is not found; name that"
    ):
        verify(exported.path)


def test_a_damaged_bundle_is_refused_before_it_is_run(bundle: Path, tiny: Path) -> None:
    model = bundle / "model.fp32.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    with pytest.raises(BundleHashError, match=r"model\.fp32\.onnx"):
        verify(bundle, tiny)
    with pytest.raises(BundleNotFoundError):
        verify(bundle.with_name("absent"), tiny)


def test_a_bundle_of_other_weights_does_not_verify(
    bundle: Path, exported_encoder: Exported, tiny: Path
) -> None:
    """The right hashes and the right checkpoint, and a model that is not it."""
    import onnx
    from onnx import numpy_helper

    path = bundle / "model.fp32.onnx"
    model = onnx.load(path)
    [bias] = [
        i
        for i in model.graph.initializer
        if list(i.dims) == [32] and "lm_head" in i.name and "bias" in i.name
    ]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(1e-3), bias.name))
    onnx.save(model, path)
    manifest = open_bundle(bundle).manifest
    files = {**manifest.files, path.name: exporter.hash_files(bundle)[path.name]}
    (bundle / "bundle.json").write_text(dataclasses.replace(manifest, files=files).to_json())
    [report] = verify(bundle, tiny)
    assert "'awb_1': absolute error 0.001 > 0.0001" in report.failures
    with pytest.raises(ParityError, match="fp32 failed verification on"):
        report.check()


def test_the_recordings_of_the_user_are_compared_too(exported: Exported, tiny: Path, tmp_path: Path) -> None:
    for name in ("one/0.wav", "two/0.wav"):
        (tmp_path / name).parent.mkdir()
        samples = np.random.default_rng(len(name)).uniform(-0.5, 0.5, 4001 + ord(name[0]))
        soundfile.write(tmp_path / name, samples, 16_000)
    [report] = verify(exported.path, tiny, audio=str(tmp_path))
    assert {case.name for case in report.cases} >= {"one/0.wav", "two/0.wav", "awb_1"}
    assert report.evidence.cases == exported.reports[0].evidence.cases + 2
    report.check()
    assert report.evidence.wer is None  # nothing says what they say
    shutil.rmtree(tmp_path / "one")
    (tmp_path / "two" / "0.wav").write_bytes(b"not audio")
    with pytest.raises(ExportError, match=r"two/0\.wav"):
        verify(exported.path, tiny, audio=tmp_path)
