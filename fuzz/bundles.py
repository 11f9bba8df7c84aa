"""Bundles: each of their files mutated, most with a correct hash, so that the file itself is read."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import struct
import zipfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
import onnx
import onnx.numpy_helper

import sewd_runtime
from fuzz.mutants import Mutant, mutate_bytes, seed_files, special_file
from fuzz.mutate_json import mutate_json
from sewd_runtime.cli import main

_NOISE = np.random.default_rng(0).normal(0, 0.1, 8_000).astype(np.float32)
_INT8 = "model.int8.onnx"
_INTEGERS = (0, 1, -1, 2, 3, 7, 1_000, 2**31, -(2**31), 2**40, 2**62, -(2**63))
_OPERATORS = (
    "Add",
    "MatMul",
    "Reshape",
    "Loop",
    "Foo",
    "Gather",
    "Concat",
    "Slice",
    "Expand",
    "Tile",
    "Range",
    "Conv",
)
_TYPES = ("<f8", ">f4", "<i2", "<c8", "S4", "U4", "<M8[s]", "bool", "f2", "O", "|V4")
_SHAPES = (
    "(0,)",
    "(-1,)",
    "(1.5,)",
    "('a',)",
    "None",
    "5",
    "(10000000000,)",
    "(9223372036854775807,)",
    "(0, 9223372036854775807)",
)


def make(random: Random) -> Mutant:
    """Mutate a file of a bundle for recognition or classification."""
    seed, texts = random.choice((*[("tiny", "vocab.json")] * 3, ("tiny-classifier", "labels.json")))
    files = seed_files(seed)
    if random.random() < 0.07:
        return special_file(random, ("bundle.json", texts, "golden.npz", "model.fp32.onnx"), seed)
    name = random.choice((*["bundle.json"] * 4, *[texts] * 3, *["golden.npz"] * 3, *["model.fp32.onnx"] * 4))
    if name == "model.fp32.onnx" and _INT8 in files and random.random() < 0.25:
        name = _INT8
    if name == "golden.npz":
        content, note = _mutate_golden(random, files[name])
    elif name.endswith(".onnx"):
        content, note = _mutate_model(random, files[name])
    else:
        content, note = mutate_json(random, json.loads(files[name]))
    changed = {name: content}
    if name != "bundle.json" and random.random() < 0.95:
        manifest = json.loads(files["bundle.json"])
        manifest["files"][name] = {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        changed["bundle.json"] = json.dumps(manifest).encode()
    return Mutant(files=changed, note=f"{name}: {note}", seed=seed)


def attempt(folder: Path) -> None:
    """Load the bundle, run it and inspect it, in fp32, or in int8 if that model was mutated."""
    int8 = folder / _INT8
    is_int8 = int8.is_file() and int8.read_bytes() != seed_files("tiny")[_INT8]
    precision: Literal["int8", "fp32"] = "int8" if is_int8 else "fp32"
    model: Any = sewd_runtime.load(folder, precision=precision, threads=1)
    if isinstance(model, sewd_runtime.Classifier):
        model.classify(_NOISE)
    else:
        model.transcribe(_NOISE)
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        code = main(["inspect", os.fspath(folder), "--precision", precision, "--threads", "1"])
    targets = [path.resolve().parent for path in folder.iterdir() if path.is_symlink()]
    assert code or not set(targets) - {folder.resolve()}, "a link out of the bundle was followed"
    assert shown.getvalue().replace("\n", "").isprintable(), "inspect printed a control character"


def _mutate_golden(random: Random, content: bytes) -> tuple[bytes, str]:
    with np.load(io.BytesIO(content)) as archive:
        arrays = {name: archive[name] for name in ("samples", "expected")}
    change = random.choice(("bytes", "bytes", "type", "shape", "values", "missing", "header", "zip", "bomb"))
    name = random.choice(list(arrays))
    if change == "bytes":
        return mutate_bytes(random, content)
    if change == "header":
        return _with_header(random)
    if change == "zip":
        method = random.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        packed = _pack({f"{name}.npy": _npy(array) for name, array in arrays.items()}, method)
        return _damage_directory(random, packed)
    if change == "bomb":
        return _bomb(), change
    if change == "type":
        arrays[name] = np.zeros(arrays[name].shape, random.choice(_TYPES))
    elif change == "shape":
        arrays[name] = random.choice(
            (arrays[name][None], arrays[name].ravel()[:0], arrays[name].ravel()[:100])
        )
    elif change == "values":
        arrays[name] = np.full_like(arrays[name], random.choice((np.nan, np.inf, -np.inf, 3e38)))
    else:
        del arrays[name]
    archived = io.BytesIO()
    np.savez(archived, **arrays)
    return archived.getvalue(), f"{change} of {name}"


@cache
def _bomb() -> bytes:
    samples = _header("'<f4'", "(75000000,)") + bytes(300_000_000)
    return _pack({"samples.npy": samples}, zipfile.ZIP_DEFLATED)


def _with_header(random: Random) -> tuple[bytes, str]:
    kind, shape = f"'{random.choice(_TYPES)}'", random.choice((*_SHAPES, "(16000,)"))
    kind = random.choice(
        (kind, "[('a','<f4'),('a','<f4')]", "('<f4',(2,2))", "'" + "f4," * 3_000 + "'", "{", "9" * 5_000)
    )
    samples = _header(kind, shape) + bytes(64_000)
    return _pack(
        {"samples.npy": samples, "expected.npy": _header("'<f4'", "(4,)") + bytes(16)}
    ), f"{kind[:30]} {shape}"


def _header(kind: str, shape: str) -> bytes:
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(10 + len(text) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def _npy(array: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def _pack(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, inner in files.items():
            archive.writestr(name, inner)
    return content.getvalue()


def _damage_directory(random: Random, content: bytes) -> tuple[bytes, str]:
    """Change a zip archive's directory: encryption, methods, sizes, offsets."""
    damaged, begin = bytearray(content), content.index(b"PK\x01\x02")
    for _ in range(random.choice((0, 1, 2, 4))):
        damaged[random.randrange(begin, len(damaged))] = random.choice(
            (0, 1, 9, 97, 255, random.randrange(256))
        )
    return bytes(damaged), "zip directory"


def _mutate_model(random: Random, content: bytes) -> tuple[bytes, str]:
    if random.random() < 0.4:
        return mutate_bytes(random, content, header=random.choice((200, 20_000)))
    model = onnx.load_from_string(content)
    change = random.choice((_attribute, _dimensions, _operator, _edge, _integers, _interface, _versions))
    change(random, model)
    return model.SerializeToString(), change.__name__.strip("_")


def _attribute(random: Random, model: Any) -> None:
    attribute = random.choice([attribute for node in model.graph.node for attribute in node.attribute])
    if attribute.type == onnx.AttributeProto.INT:
        attribute.i = random.choice(_INTEGERS)
    elif attribute.type == onnx.AttributeProto.INTS and attribute.ints:
        attribute.ints[random.randrange(len(attribute.ints))] = random.choice(_INTEGERS)
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = random.choice((0.0, float("nan"), float("inf"), -1.0))
    else:
        attribute.Clear()


def _dimensions(random: Random, model: Any) -> None:
    dims = random.choice([tensor.dims for tensor in model.graph.initializer if tensor.dims])
    dims[random.randrange(len(dims))] = random.choice(_INTEGERS)


def _operator(random: Random, model: Any) -> None:
    node = random.choice(model.graph.node)
    node.op_type = random.choice(_OPERATORS)
    node.domain = random.choice((node.domain, node.domain, "evil", "com.microsoft", "ai.onnx.ml"))


def _edge(random: Random, model: Any) -> None:
    node, other = (
        random.choice([node for node in model.graph.node if node.input]),
        random.choice(model.graph.node),
    )
    node.input[random.randrange(len(node.input))] = other.output[0]


def _integers(random: Random, model: Any) -> None:
    tensors = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT64]
    tensor = random.choice(tensors)
    array = onnx.numpy_helper.to_array(tensor).copy()
    array.reshape(-1)[random.randrange(array.size) if array.size else slice(0)] = random.choice(_INTEGERS)
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))


def _interface(random: Random, model: Any) -> None:
    value = random.choice([*model.graph.input, *model.graph.output])
    dims = value.type.tensor_type.shape.dim
    if dims and random.random() < 0.7:
        dims[random.randrange(len(dims))].dim_value = random.choice((0, 1, 5, 2**40))
    else:
        value.type.tensor_type.elem_type = random.choice((0, 1, 7, 8, 11, 99))


def _versions(random: Random, model: Any) -> None:
    model.opset_import[0].version = random.choice((0, 1, 7, 99, 2**40))
    model.ir_version = random.choice((model.ir_version, 0, 1, 99, 2**40))
