"""A checkpoint: configuration and weights that are known to fit, and the original model made of them."""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import SEWDConfig, SEWDForCTC, SEWDForSequenceClassification, SEWDModel

from sewd_export.checkpoint.json_files import read_json
from sewd_export.checkpoint.preprocessor import read_preprocessor
from sewd_export.checkpoint.sources import find_source
from sewd_export.checkpoint.weights import fit_weights, hash_content, read_weights, weight_files
from sewd_export.errors import UnknownTaskError, UnsupportedConfigError

Task = Literal["ctc", "classification", "encoding"]

_ORIGINALS = {"ctc": SEWDForCTC, "classification": SEWDForSequenceClassification, "encoding": SEWDModel}
_PRETRAINING = "SEWDForPreTraining"
_ARCHITECTURES: dict[str, Task] = {
    "SEWDForCTC": "ctc",
    "SEWDForSequenceClassification": "classification",
    "SEWDModel": "encoding",
    _PRETRAINING: "encoding",
}
# The heads of wav2vec 2.0 pre-training serve its loss alone.
_PRETRAINING_HEADS = ("quantizer.", "project_q.", "project_hid.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Everything of a checkpoint that an export needs.

    name: short, fit for a file name.
    origin: what `load_checkpoint` finds it by again; for a folder its name, without the path.
    config: transformers' SEWDConfig.
    state_dict: float32, names of the original class for this task; weight norm as
        `parametrizations.weight.original0` and `original1`; no `masked_spec_embed`, used in training only.
    preprocessor: the feature extractor's options, defaults filled in (see `preprocessor.py`).
    sha256: of the weight files' bytes, one after the other in the order of their names.
    labels: of a classifier, index = class; None for other tasks.
    """

    name: str
    origin: str
    folder: Path
    task: Task
    config: Any
    state_dict: dict[str, Tensor]
    preprocessor: dict[str, Any]
    sha256: str
    labels: tuple[str, ...] | None

    @property
    def sample_rate_hz(self) -> int:
        """The rate of the samples that the model was trained on."""
        return int(self.preprocessor["sampling_rate"])


def load_checkpoint(source: str | Path | None, *, revision: str | None = None) -> Checkpoint:
    """Find a checkpoint, read it and make sure that its weights are those of its model.

    source: a Hugging Face folder, a hub id, or None for the model in the package (see `find_source`).
    revision: a branch, tag or commit of a hub id.
    Raises CheckpointError (see `errors.py`), UnsupportedConfigError.
    """
    found = find_source(source, revision=revision)
    config_path = found.folder / "config.json"
    content = read_json(config_path)
    config = _read_config(content, config_path)
    preprocessor = read_preprocessor(found.folder)
    files = weight_files(found.folder)
    weights = read_weights(files)
    architecture, task = _task(content.get("architectures"), weights, config_path)
    labels = _labels(config, config_path) if task == "classification" else None
    heads = _PRETRAINING_HEADS if architecture == _PRETRAINING else ()
    state_dict = fit_weights(
        weights,
        {name: tensor.shape for name, tensor in _empty_model(task, config, config_path).state_dict().items()},
        where=found.folder,
        ignore=lambda name: name.startswith(heads),
    )
    return Checkpoint(
        name=found.name,
        origin=found.origin,
        folder=found.folder,
        task=task,
        config=config,
        state_dict=state_dict,
        preprocessor=preprocessor,
        sha256=hash_content(files),
        labels=labels,
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


def _empty_model(task: Task, config: Any, path: Path) -> nn.Module:
    """Build the original without memory for its weights, and without drawing any at random."""
    try:
        try:
            with torch.device("meta"):
                model: nn.Module = _ORIGINALS[task](copy.deepcopy(config))
        except NotImplementedError:  # transformers 4's xielu reads its constants while it is built
            model = _ORIGINALS[task](copy.deepcopy(config))
    except Exception as error:  # whatever the value made transformers trip over
        raise UnsupportedConfigError(f"{path}: transformers cannot build it: {_reason(error)}") from error
    return model


def _read_config(content: dict[str, Any], path: Path) -> Any:
    if content.get("model_type") != SEWDConfig.model_type:
        raise UnsupportedConfigError(
            f"{path}: model_type is {content.get('model_type')!r}; supported is {SEWDConfig.model_type!r}"
        )
    try:
        return SEWDConfig.from_dict(content)
    except Exception as error:  # transformers 5 validates with errors of several kinds
        raise UnsupportedConfigError(f"{path}: {_reason(error)}") from error


def _task(architectures: Any, names: Collection[str], path: Path) -> tuple[str | None, Task]:
    """Return the architecture, None when config.json states none, and the task."""
    if architectures:
        stated = architectures if isinstance(architectures, list) else [architectures]
        name = str(stated[0])
        if len(stated) != 1 or name not in _ARCHITECTURES:
            raise UnknownTaskError(
                f"{path}: architectures is {architectures!r}; one of {', '.join(_ARCHITECTURES)} is supported"
            )
        return name, _ARCHITECTURES[name]
    heads: dict[str, Task] = {"lm_head.weight": "ctc", "classifier.weight": "classification"}
    tasks = [task for head, task in heads.items() if head in names]
    if len(tasks) != 1:
        raise UnknownTaskError(
            f"{path} states no architectures, and the weights hold {'both' if tasks else 'neither'} of "
            f"{' and '.join(heads)}; state one of {', '.join(_ARCHITECTURES)}"
        )
    return None, tasks[0]


def _labels(config: Any, path: Path) -> tuple[str, ...]:
    labels = {int(index): str(label) for index, label in config.id2label.items()}
    if sorted(labels) != list(range(len(labels))):
        raise UnsupportedConfigError(
            f"{path}: id2label has the ids {sorted(labels)}; needed are 0, 1, 2, ..."
        )
    return tuple(labels[index] for index in range(len(labels)))


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
