"""A checkpoint's weight files: find them, read them, fit them to the model."""

from __future__ import annotations

import hashlib
import pickle  # only for the error that torch raises
import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sewd_export.checkpoint.config import one_line, read_json, refuse_pointer
from sewd_export.errors import (
    CheckpointNotFoundError,
    CheckpointReadError,
    UnsafeCheckpointError,
    WeightError,
)

# The first that exists is read, as in transformers.
_FORMATS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)

# Names before torch 2.1 → today's names, which we use.
_WEIGHT_NORM = {
    ".weight_g": ".parametrizations.weight.original0",
    ".weight_v": ".parametrizations.weight.original1",
}

# What DataParallel, torch.compile, FSDP and activation checkpointing insert into names.
_WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})

_BASE = "sew_d."
_TRAINING_ONLY = "masked_spec_embed"


def weight_files(folder: Path) -> list[Path]:
    """Return the files that hold the weights, sorted by name.

    Raises CheckpointNotFoundError, CheckpointReadError, UnsafeCheckpointError.
    """
    for name in _FORMATS:
        if (folder / name).is_file():
            return _shards(folder / name) if name.endswith(".index.json") else [folder / name]
    raise CheckpointNotFoundError(f"{folder} holds no weights: none of {', '.join(_FORMATS)}")


def _shards(index: Path) -> list[Path]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointReadError(f"{index} has no weight_map")
    names = sorted({str(name) for name in weight_map.values()})
    outside = [name for name in names if name in {"", ".", ".."} or set(name) & set("/\\:\0")]
    if outside:
        raise UnsafeCheckpointError(f"{index} names {outside!s:.300}; only files beside it may hold weights")
    absent = [name for name in names if not (index.parent / name).is_file()]
    if absent:
        raise CheckpointNotFoundError(
            f"{index} names {', '.join(absent):.300}, which are missing; copy them there"
        )
    return [index.parent / name for name in names]


def hash_content(files: Collection[Path]) -> str:
    """Return the sha256 of the concatenated files, in hexadecimal."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def read_weights(files: Collection[Path]) -> dict[str, Tensor]:
    """Return every weight in the files as float32, by its name in the file without the names of wrappers.

    Raises CheckpointReadError, UnsafeCheckpointError; before a tensor that is larger than its file is copied.
    """
    weights: dict[str, Tensor] = {}
    allowance = 2 * sum(path.stat().st_size for path in files)  # weights may share memory, but not at will
    for path in files:
        refuse_pointer(path)
        for key, tensor in (_read_pickle if path.suffix == ".bin" else _read_safetensors)(path).items():
            name = _check_weight(path, key, tensor)
            allowance -= tensor.numel() * tensor.element_size()
            if allowance < 0 or name in weights:
                problem = "is in the files twice" if name in weights else "is larger than its file"
                raise CheckpointReadError(f"{path}: {name:.99} {problem}; save the state dict again")
            weights[name] = tensor.detach()
    return {name: tensor.to(torch.float32).contiguous() for name, tensor in weights.items()}


def _check_weight(path: Path, key: Any, tensor: Any) -> str:
    """Return the weight's name without those of wrappers; raises CheckpointReadError."""
    if not isinstance(key, str):
        raise CheckpointReadError(f"{path}: a weight is named {key!r:.99}; a state dict has strings as names")
    if isinstance(tensor, dict):
        raise CheckpointReadError(
            f"{path}: {key:.99} holds another dict, as in a trainer's checkpoint; save the state dict alone"
        )
    is_dense = isinstance(tensor, Tensor) and tensor.layout == torch.strided and not tensor.is_meta
    if not (is_dense and tensor.is_floating_point()):
        raise CheckpointReadError(f"{path}: {key:.99} is not a dense tensor of floating-point numbers")
    return ".".join(part for part in str(key).split(".") if part not in _WRAPPERS)


def _read_safetensors(path: Path) -> Mapping[Any, Any]:
    try:
        loaded: dict[Any, Any] = load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointReadError(
            f"{path} cannot be read as safetensors: {one_line(error)}; copy it again"
        ) from error
    return loaded


def _read_pickle(path: Path) -> Mapping[Any, Any]:
    _refuse_compressed(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnsafeCheckpointError(
            f"{path} holds more than tensors, or is damaged, and was not unpickled; if you trust it, "
            "save it as safetensors"
        ) from error
    except Exception as error:  # zip, pickle and storage errors of many kinds
        reason = str(error).split("\n")[0][:500]
        raise CheckpointReadError(f"{path} cannot be read by torch: {reason}; copy it again") from error
    if not isinstance(loaded, dict):
        raise CheckpointReadError(f"{path} holds a {type(loaded).__name__}, not a state dict")
    return loaded


def _refuse_compressed(path: Path) -> None:
    """Raise UnsafeCheckpointError for a file that grows when it is read; torch compresses nothing."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile):
        return  # an older format, or damaged: torch says which
    if unpacked > path.stat().st_size:
        raise UnsafeCheckpointError(
            f"{path} unpacks to {unpacked} bytes; save the state dict with torch.save"
        )


def fit_weights(
    weights: Mapping[str, Tensor],
    expected: Mapping[str, torch.Size],
    *,
    where: Path,
    ignore: Callable[[str], bool] = lambda name: False,
) -> dict[str, Tensor]:
    """Return exactly the weights that the model has, under its names, without `masked_spec_embed`.

    Accepts names with and without the prefix `sew_d.`, a prefix that all names share, and both spellings of
    weight norm.
    expected: the model's names and shapes.
    ignore: name without prefix → whether to drop that weight if the model lacks it.
    Raises WeightError that has every missing, unexpected or wrongly shaped weight, and CheckpointReadError
    for NaN or infinity.
    """
    fitted: dict[str, Tensor] = {}
    unexpected = []
    foreign = _foreign_prefix(weights, expected)
    for name, tensor in weights.items():
        target = _model_name(name.removeprefix(foreign), expected)
        bare = name.removeprefix(foreign).removeprefix(_BASE)
        if target is not None and target not in fitted:
            fitted[target] = tensor
        elif bare != _TRAINING_ONLY and not ignore(bare):
            unexpected.append(name)
    optional = {_TRAINING_ONLY, _BASE + _TRAINING_ONLY}
    missing = sorted(expected.keys() - fitted.keys() - optional)
    wrong_shape = [
        f"{name} {tuple(tensor.shape)} instead of {tuple(expected[name])}"
        for name, tensor in sorted(fitted.items())
        if tensor.shape != expected[name] and name not in optional
    ]
    if missing or unexpected or wrong_shape:
        raise WeightError(str(where), missing=missing, unexpected=sorted(unexpected), wrong_shape=wrong_shape)
    if damaged := [name for name, tensor in fitted.items() if not torch.isfinite(tensor).all()]:
        raise CheckpointReadError(
            f"{where}: {damaged[0]:.99} has NaN or infinite numbers, as {len(damaged)} of the weights do; "
            "the training diverged, or a conversion to half precision overflowed; take an earlier checkpoint"
        )
    return {name: fitted[name] for name in expected if name not in optional}


def _model_name(name: str, expected: Collection[str]) -> str | None:
    for old, new in _WEIGHT_NORM.items():
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return next((it for it in (name, name.removeprefix(_BASE), _BASE + name) if it in expected), None)


def _foreign_prefix(names: Collection[str], expected: Collection[str]) -> str:
    """Return what stands before the model's names in all of these, as Lightning's `model.`; else empty."""
    first = next(iter(names), "")
    parts = first.split(".")
    for count in range(len(parts)):
        prefix = "".join(f"{part}." for part in parts[:count])
        if _model_name(first.removeprefix(prefix), expected) is not None:
            return prefix if all(name.startswith(prefix) for name in names) else ""
    return ""
