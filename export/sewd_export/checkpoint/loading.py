"""A checkpoint whose files are known to fit each other, and the original model made from it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import SEWDForCTC, SEWDForSequenceClassification, SEWDModel

from sewd_export.checkpoint.config import (
    PRETRAINING,
    Task,
    find_task,
    one_line,
    parse_config,
    read_json,
    read_labels,
    read_preprocessor,
    refuse_adapter,
)
from sewd_export.checkpoint.geometry import Geometry
from sewd_export.checkpoint.sources import find_source
from sewd_export.checkpoint.vocabulary import CtcVocabulary, read_vocabulary
from sewd_export.checkpoint.weights import fit_weights, hash_content, read_weights, weight_files
from sewd_export.errors import UnsupportedConfigError

_ORIGINALS = {"ctc": SEWDForCTC, "classification": SEWDForSequenceClassification, "encoding": SEWDModel}
# The heads of wav2vec 2.0 pre-training serve only its loss.
_PRETRAINING_HEADS = ("quantizer.", "project_q.", "project_hid.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Everything of a checkpoint that an export needs.

    name: short, fit for a file name.
    origin: what `load_checkpoint` finds it by again; for a folder its name, without the path.
    config: transformers' SEWDConfig.
    geometry: how samples become frames.
    state_dict: float32, names of the original class for this task; weight norm as
        `parametrizations.weight.original0` and `original1`; no `masked_spec_embed`, used in training only.
    preprocessor: the feature extractor's options, defaults filled in.
    sha256: of the weight files' bytes, one after the other in the order of their names.
    labels: of a classifier, index = class; None for other tasks.
    vocabulary: of a CTC model; None for other tasks.
    """

    name: str
    origin: str
    folder: Path
    task: Task
    config: Any
    geometry: Geometry
    state_dict: dict[str, Tensor]
    preprocessor: dict[str, Any]
    sha256: str
    labels: tuple[str, ...] | None
    vocabulary: CtcVocabulary | None

    @property
    def sample_rate_hz(self) -> int:
        """The sample rate that the model was trained on."""
        return int(self.preprocessor["sampling_rate"])


def load_checkpoint(source: str | Path | None, *, with_lm: bool = False) -> Checkpoint:
    """Find a checkpoint, read it and check that its weights are those of its model.

    source: a Hugging Face folder, a hub id, or None for the model in the package (see `find_source`).
    with_lm: of a hub id, download the language model too.
    Raises CheckpointError (see `errors.py`), UnsupportedConfigError.
    """
    origin = find_source(source, with_lm=with_lm)
    folder, config_path = origin.folder, origin.folder / "config.json"
    refuse_adapter(folder)
    content = read_json(config_path)
    config = parse_config(content, config_path)
    preprocessor = read_preprocessor(folder)
    files = weight_files(folder)
    weights = read_weights(files)
    refuse_adapter(folder, weights)
    architecture, task = find_task(content.get("architectures"), weights, config_path)
    _check_size(config, weights, config_path)
    unused_heads = _PRETRAINING_HEADS if architecture == PRETRAINING else ()
    return Checkpoint(
        name=origin.name,
        origin=origin.origin,
        folder=folder,
        task=task,
        config=config,
        labels=read_labels(config, config_path) if task == "classification" else None,
        state_dict=fit_weights(
            weights,
            _weight_shapes(task, config, config_path),
            where=folder,
            ignore=lambda name: name.startswith(unused_heads),
        ),
        geometry=Geometry.from_config(config),
        preprocessor=preprocessor,
        sha256=hash_content(files),
        vocabulary=read_vocabulary(folder, blank_id=config.pad_token_id) if task == "ctc" else None,
    )


def reference_model(checkpoint: Checkpoint) -> nn.Module:
    """Return the original model in float32 and eval mode, every weight from the checkpoint.

    It shares the checkpoint's tensors, so do not train it.
    """
    model = _empty_model(checkpoint.task, checkpoint.config, checkpoint.folder / "config.json")
    weights = dict(checkpoint.state_dict)
    for name, tensor in model.state_dict().items():
        if name not in weights:  # masked_spec_embed: never read outside training
            weights[name] = torch.zeros(tensor.shape)
    model.load_state_dict(weights, strict=True, assign=True)
    assert not any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])
    return model.eval().requires_grad_(False)


def _check_size(config: Any, weights: Mapping[str, Tensor], path: Path) -> None:
    """Raise UnsupportedConfigError for a model far larger than the weights, before it is built.

    A layer has more than one weight, and a transformer layer six matrices of these sizes at least.
    """
    layers, hidden, convolutions = config.num_hidden_layers, config.hidden_size, config.conv_dim
    sizes = (layers, hidden, config.intermediate_size, config.vocab_size)
    if not (all(isinstance(size, int) for size in sizes) and isinstance(convolutions, list | tuple)):
        raise UnsupportedConfigError(
            f"{path}: num_hidden_layers, hidden_size, intermediate_size and vocab_size must be integers, "
            "conv_dim a list of integers"
        )
    numbers = (
        layers * (4 * hidden * hidden + 2 * hidden * config.intermediate_size) + config.vocab_size * hidden
    )
    present = sum(tensor.numel() for tensor in weights.values())
    if max(layers, len(convolutions)) > len(weights) or numbers > 10 * present:
        stated = ", ".join(f"{size!s:.20}" for size in sizes)
        raise UnsupportedConfigError(
            f"{path}: num_hidden_layers, hidden_size, intermediate_size and vocab_size are {stated}, and "
            f"there are {len(convolutions)} convolutions: far larger than the {len(weights)} weights with "
            f"{present} numbers; take the config.json of these weights"
        )


def _weight_shapes(task: Task, config: Any, path: Path) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in _empty_model(task, config, path).state_dict().items()}


def _empty_model(task: Task, config: Any, path: Path) -> nn.Module:
    """Build the original without allocating or initialising its weights."""
    try:
        try:
            with torch.device("meta"):
                model: nn.Module = _ORIGINALS[task](copy.deepcopy(config))
        except NotImplementedError:  # transformers 4's xielu reads its constants while it is built
            model = _ORIGINALS[task](copy.deepcopy(config))
    except Exception as error:  # any error that a bad value caused inside transformers
        raise UnsupportedConfigError(f"{path}: transformers cannot build it: {one_line(error)}") from error
    return model
