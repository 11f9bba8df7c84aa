from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sewd_runtime import Classification, Classifier, Encoder, Recognizer, Transcript, load
from sewd_runtime.audio import reading
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.bundle.manifest import MANIFEST_NAME, VOCAB_NAME
from sewd_runtime.errors import (
    AudioTooShortError,
    AudioValueError,
    BundleHashError,
    BundleNotFoundError,
    ModelError,
    PrecisionError,
    PrecisionWarning,
    TaskError,
    VocabularyError,
)
from sewd_runtime.inference.network import Network
from sewd_runtime.long.segmentation import Segmentation
from sewd_runtime.model import CLASS_OF
from sewd_runtime.system.hashing import sha256_of
from sewd_runtime.text.frames import num_frames

MakeNetwork = Callable[[str], Network]
RunAlone = Callable[[Network, np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def recognizer(tiny_bundle: Path) -> Recognizer:
    return Recognizer.load(tiny_bundle)


def test_logits_are_those_of_each_recording_alone(
    recognizer: Recognizer, recordings: list[np.ndarray], run_alone: RunAlone
) -> None:
    manifest = recognizer.manifest
    allowed = manifest.precisions["fp32"].tolerance.batch_error
    results = recognizer.logits(recordings)
    for samples, logits in zip(recordings, results, strict=True):
        frames = num_frames(len(samples), receptive_field=manifest.receptive_field, stride=manifest.stride)
        assert logits.shape == (frames, manifest.num_outputs)
        assert logits.dtype == np.float32
        if frames:
            assert np.abs(logits - run_alone(recognizer.network, samples)).max() <= allowed


def test_transcripts_come_in_the_callers_order(recognizer: Recognizer, recordings: list[np.ndarray]) -> None:
    usable = [samples for samples in recordings if len(samples)]
    together = recognizer.transcribe_batch(usable)
    for samples, transcript in zip(usable, together, strict=True):
        assert transcript.duration_s == len(samples) / 16_000
        assert transcript.text == recognizer.transcribe(samples).text


def test_every_source_gives_the_same(recognizer: Recognizer, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-3_000, 3_000, 20_001).astype(np.int16)
    path = tmp_path / "noise.wav"
    soundfile.write(path, samples, 16_000)
    expected = recognizer.transcribe(path)
    assert recognizer.transcribe(path.read_bytes()) == expected
    assert recognizer.transcribe(samples) == expected
    assert recognizer.transcribe(samples, sample_rate_hz=16_000) == expected
    assert recognizer.transcribe((samples / 32_768).astype(np.float32)) == expected
    assert recognizer.transcribe(np.stack([samples, samples], axis=1)) == expected


def test_blocks_of_a_recording_are_the_recording(recognizer: Recognizer) -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, 40_001).astype(np.float32)
    for rate_hz in (16_000, 8_000):
        blocks = iter(np.split(samples, [1, 7_000, 7_000, 30_000]))
        expected = recognizer.transcribe(samples, sample_rate_hz=rate_hz)
        assert recognizer.transcribe(blocks, sample_rate_hz=rate_hz) == expected


@pytest.mark.parametrize("whole_s", [0.0, 1.0, 60.0])
def test_a_recording_is_read_once(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole_s: float
) -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, 40_001).astype(np.float32)
    soundfile.write(tmp_path / "noise.wav", samples, 16_000, subtype="FLOAT")
    opened, decode = [], reading.decode
    monkeypatch.setattr(reading, "decode", lambda *given: opened.append(given) or decode(*given))
    segmentation = Segmentation(whole_s=whole_s)
    with (tmp_path / "noise.wav").open("rb") as file:
        for source in (tmp_path / "noise.wav", file):
            found = recognizer.transcribe(source, segmentation=segmentation)
            assert found == recognizer.transcribe(samples, segmentation=segmentation)
    assert len(opened) == 2


def test_a_recording_that_runs_whole_has_steps_too(recognizer: Recognizer) -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, 40_001).astype(np.float32)
    first, *rest = steps = list(recognizer.steps(samples))
    assert recognizer.join(steps) == recognizer.transcribe(samples)
    assert recognizer.join([first]).text == recognizer.transcribe(samples).text
    assert steps[-1].num_samples == len(samples)
    assert [step.segments for step in recognizer.steps(samples, done=first.done)] == [(), ()]
    assert rest == list(recognizer.steps(samples, done=first.done))[1:]


def test_too_short_gives_an_empty_transcript(recognizer: Recognizer) -> None:
    shortest = recognizer.manifest.min_samples
    result = recognizer.transcribe(np.zeros(shortest - 1, np.float32))
    assert result == Transcript(text="", segments=(), duration_s=(shortest - 1) / 16_000)
    assert isinstance(recognizer.transcribe(np.zeros(shortest, np.float32)), Transcript)


def test_no_recordings(recognizer: Recognizer) -> None:
    assert recognizer.transcribe_batch([]) == []
    assert recognizer.logits([]) == []


def test_empty_audio_is_an_error(recognizer: Recognizer) -> None:
    with pytest.raises(AudioValueError, match="no samples"):
        recognizer.transcribe(np.zeros(0, np.float32))


@pytest.mark.parametrize("samples", [np.zeros(500), np.zeros((500, 1), np.float32), [0.0] * 500])
def test_logits_take_float32_samples_only(recognizer: Recognizer, samples: Any) -> None:
    with pytest.raises(AudioValueError, match="float32 arrays of shape"):
        recognizer.logits([samples])


def test_every_precision_loads(tiny_bundle: Path) -> None:
    for precision in open_bundle(tiny_bundle).manifest.precisions:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PrecisionWarning)
            assert load(tiny_bundle, precision=precision, threads=1).network.precision == precision
    with pytest.raises(PrecisionError):
        load(tiny_bundle, precision="none")


def test_what_a_provider_is_not_for_warns_and_gives_the_same(
    recognizer: Recognizer, tiny_bundle: Path, recordings: list[np.ndarray]
) -> None:
    with pytest.warns(PrecisionWarning, match="fp16 on cpu: .* no faster than fp32") as caught:
        half = Recognizer.load(tiny_bundle, precision="fp16", threads=1)
    assert [warning.filename for warning in caught] == [__file__]  # where the caller can do something
    tolerance = half.manifest.precisions["fp16"].tolerance
    sizes = [half.manifest.files[f"model.{name}.onnx"].size_bytes for name in ("fp16", "fp32")]
    assert sizes[0] < sizes[1]
    for one, other in zip(half.logits(recordings), recognizer.logits(recordings), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance.max_abs)


def test_each_class_loads_its_own_task(tiny_bundle: Path) -> None:
    bundles = {Recognizer: tiny_bundle, Classifier: tiny_bundle.with_name("tiny-classifier")}
    for kind, bundle in bundles.items():
        assert type(load(bundle)) is type(kind.load(bundle)) is kind
        assert CLASS_OF[kind.task] == kind.__name__
        for other in {Recognizer, Classifier, Encoder} - {kind}:
            needs = f"{bundle}: its task is {kind.task}, {other.__name__} needs {other.task}; "
            with pytest.raises(TaskError, match=re.escape(needs) + f"use .*{kind.__name__}.load"):
                other.load(bundle)


def test_load_refuses_a_changed_model(broken_bundle: Path) -> None:
    path = broken_bundle / "model.fp32.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(BundleHashError):
        load(broken_bundle)
    with pytest.raises(BundleNotFoundError):
        load(broken_bundle / "nothing")


def test_a_manifest_that_counts_other_outputs(broken_bundle: Path) -> None:
    text = (broken_bundle / MANIFEST_NAME).read_text()
    outputs = open_bundle(broken_bundle).manifest.num_outputs
    text = text.replace(f'"num_outputs": {outputs}', f'"num_outputs": {outputs + 1}')
    (broken_bundle / MANIFEST_NAME).write_text(text)
    with pytest.raises(ModelError, match=f"the manifest says {outputs + 1}"):
        load(broken_bundle)


@pytest.mark.parametrize(
    "text", ["[]", '{"A": "B"}', '{"A": true}', "{", '{"A": 0, "A": 1}', '{"A": 0, "B": 0}', "{}"]
)
def test_a_bad_vocabulary(broken_bundle: Path, text: str) -> None:
    replace(broken_bundle, VOCAB_NAME, text)
    if text == "{}":
        replace_key(broken_bundle, "unknown_token", None)
    with pytest.raises(VocabularyError, match=r"vocab\.json"):
        load(broken_bundle)


def replace(bundle: Path, name: str, text: str) -> None:
    """Replace a file and the manifest's record of it."""
    (bundle / name).write_text(text)
    manifest = json.loads((bundle / MANIFEST_NAME).read_text())
    manifest["files"][name] = {"size_bytes": len(text), "sha256": sha256_of(bundle / name)}
    (bundle / MANIFEST_NAME).write_text(json.dumps(manifest))


def replace_key(bundle: Path, key: str, value: Any) -> None:
    manifest = json.loads((bundle / MANIFEST_NAME).read_text())
    manifest["ctc"][key] = value
    (bundle / MANIFEST_NAME).write_text(json.dumps(manifest))


def test_classifier(numpy_network: MakeNetwork, run_alone: RunAlone, recordings: list[np.ndarray]) -> None:
    network = numpy_network("classification")
    labels = tuple(f"label {index}" for index in range(network.manifest.num_outputs))
    classifier = Classifier(network=network, labels=labels)
    usable = [samples for samples in recordings if len(samples) >= 400]
    for samples, result in zip(usable, classifier.classify_batch(usable), strict=True):
        expected = run_alone(network, samples)
        assert result.label == labels[int(expected.argmax())]
        assert sorted(result.labels) == sorted(labels)
        assert list(result.probabilities) == sorted(result.probabilities, reverse=True)
        assert sum(result.probabilities) == pytest.approx(1, abs=1e-5)
        assert result.probability == max(result.probabilities)
        alone = classifier.classify(samples)
        assert alone.label == result.label
        assert alone.probabilities == pytest.approx(result.probabilities, abs=1e-5)


def test_classifier_needs_one_frame(numpy_network: MakeNetwork) -> None:
    classifier = Classifier(network=numpy_network("classification"), labels=())
    with pytest.raises(AudioTooShortError, match="399 samples"):
        classifier.classify(np.zeros(399, np.float32))
    with pytest.raises(AudioTooShortError, match="item 1"):
        classifier.classify_batch([np.zeros(400, np.float32), np.zeros(1, np.float32)])
    assert classifier.classify_batch([]) == []


def test_encoder(numpy_network: MakeNetwork, run_alone: RunAlone, recordings: list[np.ndarray]) -> None:
    network = numpy_network("encoding")
    encoder = Encoder(network=network)
    usable = [samples for samples in recordings if len(samples)]
    for samples, states in zip(usable, encoder.encode_batch(usable), strict=True):
        frames = num_frames(len(samples), receptive_field=400, stride=320)
        assert states.shape == (frames, network.manifest.num_outputs)
        np.testing.assert_array_equal(states, encoder.encode(samples))
        if frames:
            np.testing.assert_allclose(states, run_alone(network, samples), atol=1e-5)


def test_results_do_not_keep_their_batch_alive(numpy_network: MakeNetwork) -> None:
    for states in Encoder(network=numpy_network("encoding")).hidden_states(
        [np.zeros(16_000, np.float32)] * 3
    ):
        assert states.base is None


def test_recordings_of_like_length_run_together(numpy_network: MakeNetwork) -> None:
    network = numpy_network("encoding")
    lengths = (16_000, 160_000, 15_000, 150_000, 400)
    Encoder(network=network).hidden_states([np.zeros(length, np.float32) for length in lengths])
    assert network.session.shapes == [(1, 160_000), (1, 150_000), (2, 16_000), (1, 400)]  # type: ignore[attr-defined]


def test_classification_reads_best_first() -> None:
    result = Classification(labels=("yes", "no"), probabilities=(0.75, 0.25))
    assert (result.label, result.probability) == ("yes", 0.75)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_embedded_model_reads_digits(speech: Path, precision: str) -> None:
    try:
        model = Recognizer.load(precision=precision)
    except BundleNotFoundError:
        pytest.skip("this installation has no embedded model")
    words = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
    speakers = ("george", "jackson", "lucas", "nicolas")
    held_out = [(word, f"{digit}_{name}_0.wav") for digit, word in enumerate(words) for name in speakers]
    transcripts = model.transcribe_batch([speech / "digits_fsdd" / name for _, name in held_out])
    right = [found.text == word for found, (word, _) in zip(transcripts, held_out, strict=True)]
    assert sum(right) >= 0.9 * len(right)  # the model card measures 95 % on five times as many
