"""Law: no byte is used that no hash covers, so a model names no other file, however that is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from sewd_runtime import load
from sewd_runtime.bundle import onnx_file
from sewd_runtime.bundle.folder import Bundle, open_bundle
from sewd_runtime.bundle.onnx_file import check_self_contained
from sewd_runtime.errors import ModelError

GRAPH, FUNCTION, TRAINING = 7, 25, 20  # fields of ModelProto
NODE, INITIALIZER, SPARSE = 1, 5, 15  # of GraphProto
ATTRIBUTE = 5  # of NodeProto


def varint(number: int, *, extra: int = 0) -> bytes:
    """A number in protobuf; extra: bytes more than it needs, which readers accept."""
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F)
        number >>= 7
    groups += [number, *[0] * extra]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def inside(content: bytes, *numbers: int) -> bytes:
    for number in reversed(numbers):
        content = field(number, content)
    return content


LOCATION = field(13, field(1, b"location") + field(2, b"weights.bin"))
EXTERNAL = field(8, b"w") + LOCATION + field(14, 1)
PADDING = field(9, bytes(1 << 17))  # raw data, so that the message is not a small one

PLACES = {
    "initializer": (GRAPH, INITIALIZER),
    "values of a sparse initializer": (GRAPH, SPARSE, 1),
    "indices of a sparse initializer": (GRAPH, SPARSE, 2),
    "tensor of an attribute": (GRAPH, NODE, ATTRIBUTE, 5),
    "tensors of an attribute": (GRAPH, NODE, ATTRIBUTE, 10),
    "sparse tensor of an attribute": (GRAPH, NODE, ATTRIBUTE, 22, 1),
    "sparse tensors of an attribute": (GRAPH, NODE, ATTRIBUTE, 23, 1),
    "subgraph": (GRAPH, NODE, ATTRIBUTE, 6, INITIALIZER),
    "subgraphs": (GRAPH, NODE, ATTRIBUTE, 11, INITIALIZER),
    "function": (FUNCTION, 7, ATTRIBUTE, 5),
    "default of a function": (FUNCTION, 11, 5),
    "training": (TRAINING, 1, INITIALIZER),
}


@pytest.fixture
def model(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A real model to which messages can be appended: protobuf merges them."""
    path = tmp_path / "model.onnx"
    path.write_bytes((tiny_bundle / "model.fp32.onnx").read_bytes())
    return path


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("padding", [b"", PADDING], ids=["small", "large"])
def test_external_data_is_refused_everywhere(model: Path, place: str, padding: bytes) -> None:
    check_self_contained(model)
    append(model, inside(EXTERNAL + padding, *PLACES[place]))
    with pytest.raises(ModelError, match="another file, which no hash covers"):
        check_self_contained(model)


@pytest.mark.parametrize(
    "location",
    [
        varint(14 << 3, extra=2) + varint(1, extra=7),
        varint(14 << 3) + varint((1 << 32) + 1),
        field(14, 0) + field(14, 1),
    ],
    ids=["long numbers", "upper bits", "twice"],
)
def test_however_it_is_written(model: Path, location: bytes) -> None:
    append(model, inside(LOCATION + location, GRAPH, INITIALIZER))
    with pytest.raises(ModelError, match="another file"):
        check_self_contained(model)


def test_a_compiled_model_elsewhere_is_refused(model: Path) -> None:
    append(model, inside(field(4, b"EPContext"), GRAPH, NODE))
    with pytest.raises(ModelError, match="EPContext"):
        check_self_contained(model)


def test_the_words_alone_are_no_reference(model: Path) -> None:
    append(model, inside(field(3, b"/allocation/EPContext") + field(1, b"location"), GRAPH, NODE))
    append(model, inside(field(8, b"location") + field(14, 0), GRAPH, INITIALIZER))
    check_self_contained(model)


@pytest.mark.parametrize(
    "content",
    [b"", b"not a model", b"\x3a\xff\xff\xff\xff\x0f", b"\x80" * 20, b"\x3b", b"\x39\x00"],
    ids=["empty", "text", "longer than the file", "endless number", "group", "cut off"],
)
def test_what_is_no_message_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.onnx"):
        check_self_contained(tmp_path / "model.onnx")


def test_a_model_of_endless_fields_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "MAX_FIELDS", 10_000)
    append(model, field(1, 8) * 10_001)
    with pytest.raises(ModelError, match="more than 10000 fields"):
        check_self_contained(model)


def test_a_bundle_with_external_data_is_not_loaded(broken_bundle: Path, rehash: object) -> None:
    path = broken_bundle / "model.fp32.onnx"
    append(path, inside(EXTERNAL, GRAPH, INITIALIZER))
    rehash(path)  # type: ignore[operator]
    (broken_bundle / "weights.bin").write_bytes(bytes(64))
    bundle: Bundle = open_bundle(broken_bundle)
    for use in (lambda: load(broken_bundle), lambda: bundle.path_of(path.name), bundle.verify):
        with pytest.raises(ModelError, match="no hash covers"):
            use()
