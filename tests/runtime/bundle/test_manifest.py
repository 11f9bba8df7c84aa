"""Law: write-then-open is identity, and every corruption has its own error, which names the key."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sewd_runtime.bundle.engines import BatchShape, EngineEntry, Profile, engine_key
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.bundle.manifest import MANIFEST_NAME, FileEntry, Manifest
from sewd_runtime.errors import (
    BundleError,
    BundlePathError,
    FormatVersionError,
    ManifestKeyError,
    ManifestTypeError,
)

FORMAT_1 = Path(__file__).parents[2] / "data" / "format-1"
MAPS = ("precisions", "failed", "files", "provenance.versions", "engines")  # their keys are free
NULLABLE = (
    "ctc.unknown_token",
    "ctc.word_delimiter",
    *(f"precisions.{name}.calibrated" for name in ("fp32", "int8")),
)
OPTIONAL = "language_model"


@pytest.fixture
def content(manifest: Manifest) -> dict[str, Any]:
    return json.loads(manifest.to_json())


def keys(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield (*path, key)
            yield from keys(value, (*path, key))


def changed(content: dict[str, Any], path: tuple[str, ...], value: Any = ...) -> str:
    """The manifest's text with one value changed, or its key deleted."""
    content = copy.deepcopy(content)
    place = content
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(content)


def at(path: str) -> tuple[str, ...]:
    """Split a path at its dots; file names have dots of their own, so they come last."""
    if path.startswith("files."):
        return ("files", path.removeprefix("files."))
    return tuple(path.split("."))


def test_write_then_open_is_identity(manifest: Manifest) -> None:
    text = manifest.to_json()
    again = Manifest.from_json(text)
    assert again == manifest
    assert again.to_json() == text


def test_text_is_stable(manifest: Manifest) -> None:
    text = manifest.to_json()
    assert text.startswith('{\n  "format_version": 4,\n  "name": "digits",\n')
    assert text.endswith("}\n")
    backwards = json.dumps(dict(reversed(json.loads(text).items())))
    assert Manifest.from_json(backwards).to_json() == text


def test_a_bad_manifest_is_not_written(manifest: Manifest) -> None:
    for stride in (0, -1, float("nan")):
        object.__setattr__(manifest, "stride", stride)
        with pytest.raises(ManifestTypeError):
            manifest.to_json()


def test_a_key_is_left_out_where_there_is_no_language_model(manifest: Manifest) -> None:
    text = dataclasses.replace(manifest, language_model=None).to_json()
    assert OPTIONAL not in json.loads(text)
    assert Manifest.from_json(text).language_model is None


def test_every_key_but_one_is_required(content: dict[str, Any]) -> None:
    for path in keys(content):
        if ".".join(path[:-1]) not in MAPS and path != (OPTIONAL,):
            with pytest.raises(ManifestKeyError, match="missing") as error:
                Manifest.from_json(changed(content, path))
            assert ".".join(path) in str(error.value)


def test_an_unknown_key_is_refused_everywhere(content: dict[str, Any]) -> None:
    objects = [(), *(path for path in keys(content))]
    for path in objects:
        value: Any = content
        for key in path:
            value = value[key]
        if isinstance(value, dict) and ".".join(path) not in MAPS:
            with pytest.raises(ManifestKeyError, match="is not a key") as error:
                Manifest.from_json(changed(content, (*path, "extra"), 1))
            assert ".".join((*path, "extra")) in str(error.value)


def test_every_wrong_type_is_refused_everywhere(content: dict[str, Any]) -> None:
    samples = [None, True, 7, 7.5, "text", [], {}]
    for path in keys(content):
        right: Any = content
        for key in path:
            right = right[key]
        for value in samples:
            same = type(value) is type(right) or {type(value), type(right)} == {int, float}
            allowed = same or (value is None and ".".join(path) in NULLABLE)
            if not allowed:
                with pytest.raises(ManifestTypeError) as error:
                    Manifest.from_json(changed(content, path, value))
                assert ".".join(path) in str(error.value)


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        ("sample_rate_hz", 0, ManifestTypeError),
        ("sample_rate_hz", 16000.0, ManifestTypeError),
        ("receptive_field", -400, ManifestTypeError),
        ("stride", True, ManifestTypeError),
        ("min_samples", 399, ManifestTypeError),
        ("num_outputs", 0, ManifestTypeError),
        ("task", "speech", ManifestTypeError),
        ("task", "encoding", ManifestTypeError),
        ("ctc", None, ManifestTypeError),
        ("ctc.blank_id", 32, ManifestTypeError),
        ("ctc.blank_id", -1, ManifestTypeError),
        ("precisions", {}, ManifestTypeError),
        ("failed", {"fp32": "it is there"}, ManifestTypeError),
        ("failed.fp16", "two\nlines", ManifestTypeError),
        ("precisions.fp32.file", "model.int8.onnx", ManifestTypeError),
        ("precisions.fp32.file", "../model.fp32.onnx", BundlePathError),
        ("precisions.fp32.domains", [1], ManifestTypeError),
        ("precisions.fp32.opset", 0, ManifestTypeError),
        ("precisions.fp32.tolerance.max_abs", 0, ManifestTypeError),
        ("precisions.fp32.parity.cases", 0, ManifestTypeError),
        ("precisions.fp32.parity.cases", 2.0, ManifestTypeError),
        ("precisions.fp32.parity.max_abs", -1e-9, ManifestTypeError),
        ("precisions.fp32.parity.label_agreement", 1.1, ManifestTypeError),
        ("precisions.fp32.parity.transcript_agreement", None, ManifestTypeError),
        ("precisions.fp32.parity.words", -1, ManifestTypeError),
        ("precisions.fp32.parity.words", 0, ManifestTypeError),
        ("precisions.fp32.parity.wer", -0.1, ManifestTypeError),
        ("precisions.fp32.parity.original_wer", None, ManifestTypeError),
        ("files.vocab.json", {"size_bytes": -1, "sha256": "0" * 64}, ManifestTypeError),
        ("files.vocab.json", {"size_bytes": 1, "sha256": "0" * 63}, ManifestTypeError),
        ("files.vocab.json", {"size_bytes": 1, "sha256": "A" * 64}, ManifestTypeError),
        ("files.vocab.json", ..., ManifestKeyError),
        ("files.golden.npz", ..., ManifestKeyError),
        ("files.model.fp32.onnx", ..., ManifestKeyError),
        ("files.bundle.json", {"size_bytes": 1, "sha256": "0" * 64}, ManifestTypeError),
        ("files.vocab.json", {"size_bytes": 2**64, "sha256": "0" * 64}, ManifestTypeError),
        ("sample_rate_hz", 192_001, ManifestTypeError),
        ("receptive_field", 1_000_001, ManifestTypeError),
        ("stride", 10**12, ManifestTypeError),
        ("min_samples", 10**9, ManifestTypeError),
        ("num_outputs", 10**12, ManifestTypeError),
        ("precisions.fp32.opset", 10**400, ManifestTypeError),
        ("precisions.fp32.parity.relative", 10**400, ManifestTypeError),
        ("precisions.fp32.tolerance.max_abs", -(10**400), ManifestTypeError),
        ("name", "two\nlines", ManifestTypeError),
        ("family", "\x1b[31mred", ManifestTypeError),
        ("ctc.unknown_token", "\ud800", ManifestTypeError),
        ("ctc.word_delimiter", "\u2028", ManifestTypeError),
        ("precisions.fp32.domains", ["\0"], ManifestTypeError),
        ("provenance.versions", {"a\nb": "1"}, ManifestTypeError),
        ("name", [[[]]], ManifestTypeError),
    ],
)
def test_range(content: dict[str, Any], path: str, value: Any, error: type[BundleError]) -> None:
    with pytest.raises(error) as raised:
        Manifest.from_json(changed(content, at(path), value))
    assert type(raised.value) is error


@pytest.mark.parametrize("path", ["name", "ctc", "stride", "precisions.fp32.domains", "files"])
@pytest.mark.parametrize("depth", [50, 400, 900, 970])
def test_values_too_deep_to_be_shown(content: dict[str, Any], path: str, depth: int) -> None:
    text = changed(content, at(path), "PLACE").replace('"PLACE"', "[" * depth + "]" * depth)
    with pytest.raises(ManifestTypeError) as raised:
        Manifest.from_json(text)
    assert len(str(raised.value)) < 200


def test_messages_are_short_and_printable(content: dict[str, Any]) -> None:
    for key in ("k" * 100_000, "a\nb", "\x1b[31m", "\ud800"):
        for text in (changed(content, (key,), 1), f"{{{json.dumps(key)}: 1, {json.dumps(key)}: 2}}"):
            with pytest.raises(ManifestKeyError) as raised:
                Manifest.from_json(text)
            assert str(raised.value).isprintable()
            assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "/etc/passwd", "..\\b", "C:b", "a\0b", "a\nb", "\ud800", "../vocab.json", "a/"],
)
def test_only_bare_names(content: dict[str, Any], name: str) -> None:
    entry = {"size_bytes": 1, "sha256": "0" * 64}
    with pytest.raises(BundlePathError, match="bare file name"):
        Manifest.from_json(changed(content, ("files", name), entry))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", ManifestTypeError),
        ("{", ManifestTypeError),
        ("[]", ManifestTypeError),
        ("null", ManifestTypeError),
        ("[" * 100_000, ManifestTypeError),
        ("1" * 10_000, ManifestTypeError),
        ("{}", ManifestKeyError),
        ('{"format_version": 1, "format_version": 1}', ManifestKeyError),
        ('{"format_version": "1"}', ManifestTypeError),
        ('{"format_version": true}', ManifestTypeError),
        ('{"format_version": 1.0}', ManifestTypeError),
        ('{"format_version": NaN}', ManifestTypeError),
        ('{"format_version": 2}', ManifestKeyError),
        ('{"format_version": 0}', FormatVersionError),
        ('{"format_version": 5, "future": "key"}', FormatVersionError),
    ],
)
def test_not_a_manifest(text: str, error: type[BundleError]) -> None:
    with pytest.raises(error) as raised:
        Manifest.from_json(text, where="here/bundle.json")
    assert type(raised.value) is error
    assert str(raised.value).startswith("here/bundle.json: ")


@pytest.fixture
def with_engine(manifest: Manifest) -> Manifest:
    """The manifest with one engine of its float32 model."""
    shapes = [
        BatchShape(batch=batch, samples=samples) for batch, samples in ((1, 400), (1, 16_000), (4, 32_000))
    ]
    profile = Profile(min=shapes[0], opt=shapes[1], max=shapes[2])
    facts: dict[str, Any] = {
        "builder": "tensorrt-rtx",
        "version": "1.7.1.116",
        "compute_capability": "8.9",
        "profiles": (profile,),
    }
    file, model = "model.fp32.tensorrt-rtx.sm89.engine", manifest.files["model.fp32.onnx"]
    entry = EngineEntry(file=file, precision="fp32", key=engine_key(model.sha256, **facts), **facts)
    files = {**manifest.files, file: FileEntry(size_bytes=3, sha256="2" * 64)}
    return dataclasses.replace(manifest, files=files, engines={entry.name: entry})


def older(manifest: Manifest, version: int) -> dict[str, Any]:
    """The manifest's JSON as a writer of format 2 or 3 wrote it."""
    content = json.loads(manifest.to_json())
    del content["failed"], content["language_model"]
    for entry in content["precisions"].values():
        del entry["calibrated"]
    if version < 3:
        del content["engines"]
    return {**content, "format_version": version}


def test_manifests_of_older_formats_open_as_todays(manifest: Manifest, with_engine: Manifest) -> None:
    for version, written in ((2, manifest), (3, with_engine)):
        found = Manifest.from_json(json.dumps(older(written, version)))
        precisions = {
            name: dataclasses.replace(entry, calibrated=None) for name, entry in written.precisions.items()
        }
        lacking: dict[str, Any] = {"failed": {}, "language_model": None}
        assert found == dataclasses.replace(written, precisions=precisions, **lacking)
        assert json.loads(found.to_json())["format_version"] == 4


@pytest.mark.parametrize(
    ("version", "path", "value", "message"),
    [
        (2, ("engines",), {}, "engines is not a key of format 2"),
        (2, ("failed",), {}, "failed is not a key of format 2"),
        (3, ("failed",), {}, "failed is not a key of format 3"),
        (3, ("language_model",), None, "language_model is not a key of format 3"),
        (
            3,
            ("precisions", "fp32", "calibrated"),
            None,
            r"precisions\.fp32: calibrated is not a key of format 3",
        ),
        (3, ("engines",), ..., "engines is missing"),
    ],
)
def test_older_formats_have_no_later_keys(
    with_engine: Manifest, version: int, path: tuple[str, ...], value: Any, message: str
) -> None:
    with pytest.raises(ManifestKeyError, match=message):
        Manifest.from_json(changed(older(with_engine, version), path, value))


def test_only_format_3_requires_an_engine(manifest: Manifest) -> None:
    assert manifest.engines == {}
    with pytest.raises(ManifestTypeError, match="engines must have entries in format 3"):
        Manifest.from_json(json.dumps(older(manifest, 3)))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("file", "model.engine", "file must be model.fp32.tensorrt-rtx.sm89.engine"),
        ("file", "../model.engine", "file must be"),
        ("precision", "fp16", "must be fp16.tensorrt-rtx.sm89, as its fields say"),
        ("builder", "trtexec", "one of tensorrt, tensorrt-rtx"),
        ("version", "1.8", r"key is not that of model\.fp32\.onnx"),
        ("compute_capability", "89", "a compute capability like 8.9"),
        ("compute_capability", "12.0", "must be fp32.tensorrt-rtx.sm120"),
        ("profiles", [], "at least one entry"),
        ("key", "0" * 64, "export it again"),
    ],
)
def test_an_engine_is_what_its_fields_say(with_engine: Manifest, key: str, value: Any, message: str) -> None:
    content = json.loads(with_engine.to_json())
    content["engines"]["fp32.tensorrt-rtx.sm89"][key] = value
    with pytest.raises(ManifestTypeError, match=message):
        Manifest.from_json(json.dumps(content))


def test_an_engine_of_another_model_is_refused(with_engine: Manifest) -> None:
    content = json.loads(with_engine.to_json())
    content["files"]["model.fp32.onnx"]["sha256"] = "3" * 64
    with pytest.raises(ManifestTypeError, match="is not that of"):
        Manifest.from_json(json.dumps(content))


def test_a_profile_goes_from_the_smallest_to_the_largest(with_engine: Manifest) -> None:
    content = json.loads(with_engine.to_json())
    content["engines"]["fp32.tensorrt-rtx.sm89"]["profiles"][0]["opt"]["samples"] = 399
    with pytest.raises(ManifestTypeError, match="from the smallest to the largest"):
        Manifest.from_json(json.dumps(content))


def test_format_1_opens_without_word_errors() -> None:
    text = (FORMAT_1 / MANIFEST_NAME).read_text()
    manifest = open_bundle(FORMAT_1).manifest
    parity = manifest.precisions["fp32"].parity
    assert (parity.words, parity.wer, parity.original_wer) == (0, None, None)
    content = json.loads(text)
    written = json.loads(manifest.to_json())
    assert (written.pop("format_version"), written.pop("engines"), written.pop("failed")) == (4, {}, {})
    assert written["precisions"]["fp32"].pop("calibrated") is None
    for key in ("words", "wer", "original_wer"):
        del written["precisions"]["fp32"]["parity"][key]
    assert written == {key: value for key, value in content.items() if key != "format_version"}


def test_a_bundle_of_format_2_opens() -> None:
    found, today = (open_bundle(FORMAT_1.with_name(name)).manifest for name in ("format-2", "tiny"))
    static = today.precisions["int8-static"]
    assert static.calibrated is False
    unknown = dataclasses.replace(static, calibrated=None)
    assert found == dataclasses.replace(today, precisions={**today.precisions, "int8-static": unknown})


@pytest.mark.parametrize("key", ["words", "wer", "original_wer", "engines"])
def test_format_1_has_no_later_keys(key: str) -> None:
    content = json.loads((FORMAT_1 / MANIFEST_NAME).read_text())
    place = content if key == "engines" else content["precisions"]["fp32"]["parity"]
    place[key] = {} if key == "engines" else 0
    with pytest.raises(ManifestKeyError, match=f"{key} is not a key of format 1"):
        Manifest.from_json(json.dumps(content))


def test_an_error_rate_may_exceed_1_and_is_of_words(content: dict[str, Any]) -> None:
    path = ("precisions", "fp32", "parity", "wer")
    assert Manifest.from_json(changed(content, path, 1.5)).precisions["fp32"].parity.wer == 1.5
    for key, value in (("words", 0), ("wer", None), ("original_wer", None)):
        content = json.loads(changed(content, (*path[:-1], key), value))
    assert Manifest.from_json(json.dumps(content)).precisions["fp32"].parity.words == 0


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_are_finite(manifest: Manifest, number: str) -> None:
    text = manifest.to_json().replace('"max_abs": 0.0001', f'"max_abs": {number}')
    with pytest.raises(ManifestTypeError):
        Manifest.from_json(text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_any_json_raises_only_our_errors(value: Any) -> None:
    with pytest.raises(BundleError):
        Manifest.from_json(json.dumps({"format_version": 1, "name": value}))
