"""A checkpoint's weight files: find them, read them, fit them to the model."""

from __future__ import annotations

import hashlib
import pickle  # only for the error that torch raises
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sewd_export.checkpoint.config import read_json
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
        raise UnsafeCheckpointError(f"{index} names {outside}; only files beside it may hold weights")
    absent = [name for name in names if not (index.parent / name).is_file()]
    if absent:
        raise CheckpointNotFoundError(
            f"{index} names {', '.join(absent)}, which are missing; copy them there"
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
    """Return every weight in the files as float32, by its name in the file.

    Raises CheckpointReadError, UnsafeCheckpointError.
    """
    weights = {}
    for path in files:
        for name, tensor in (_read_pickle if path.suffix == ".bin" else _read_safetensors)(path).items():
            if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
                raise CheckpointReadError(f"{path}: {name} is not a tensor of floating-point numbers")
            weights[name] = tensor.detach().to(torch.float32).contiguous()
    return weights


def _read_safetensors(path: Path) -> Mapping[str, Tensor]:
    try:
        loaded: dict[str, Tensor] = load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointReadError(f"{path} cannot be read as safetensors: {error}; copy it again") from error
    return loaded


def _read_pickle(path: Path) -> Mapping[str, Tensor]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnsafeCheckpointError(
            f"{path} holds more than tensors, or is damaged, and was not unpickled; if you trust it, "
            "save it as safetensors"
        ) from error
    except Exception as error:  # zip, pickle and storage errors of many kinds
        reason = str(error).split("\n")[0]
        raise CheckpointReadError(f"{path} cannot be read by torch: {reason}; copy it again") from error
    if not isinstance(loaded, dict):
        raise CheckpointReadError(f"{path} holds a {type(loaded).__name__}, not a state dict")
    return loaded


def fit_weights(
    weights: Mapping[str, Tensor],
    expected: Mapping[str, torch.Size],
    *,
    where: Path,
    ignore: Callable[[str], bool] = lambda name: False,
) -> dict[str, Tensor]:
    """Return exactly the weights that the model has, under its names, without `masked_spec_embed`.

    Accepts names with and without the prefix `sew_d.`, and both spellings of weight norm.
    expected: the model's names and shapes.
    ignore: name without prefix → whether to drop that weight if the model lacks it.
    Raises WeightError that names every missing, unexpected or wrongly shaped weight.
    """
    fitted: dict[str, Tensor] = {}
    unexpected = []
    for name, tensor in weights.items():
        target = _model_name(name, expected)
        bare = name.removeprefix(_BASE)
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
    return {name: fitted[name] for name in expected if name not in optional}


def _model_name(name: str, expected: Collection[str]) -> str | None:
    for old, new in _WEIGHT_NORM.items():
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return next((it for it in (name, name.removeprefix(_BASE), _BASE + name) if it in expected), None)
