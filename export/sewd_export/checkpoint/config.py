"""The JSON files of a checkpoint, without the tokenizer's: configuration, task, labels, preprocessor."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from transformers import SEWDConfig

from sewd_export.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    CheckpointReadError,
    UnknownTaskError,
    UnsupportedConfigError,
)
from sewd_runtime.system.terminal import has_controls

Task = Literal["ctc", "classification", "encoding"]

PRETRAINING = "SEWDForPreTraining"
_TASKS: dict[str, Task] = {
    "SEWDForCTC": "ctc",
    "SEWDForSequenceClassification": "classification",
    "SEWDModel": "encoding",
    PRETRAINING: "encoding",
}
_HEADS: dict[str, Task] = {"lm_head.weight": "ctc", "classifier.weight": "classification"}

_MAX_JSON_BYTES = 64 << 20  # the index of a model with a million weights
_LFS = b"version https://git-lfs.github.com/spec/"
_SAMPLE_RATES_HZ = range(1_000, 400_000)
_ADAPTERS = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")

# The defaults of transformers' Wav2Vec2FeatureExtractor.
_PREPROCESSOR: dict[str, Any] = {
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "feature_size": 1,
    "sampling_rate": 16_000,
    "padding_value": 0.0,
    "do_normalize": True,
    "return_attention_mask": False,
}


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file; raises CheckpointNotFoundError, CheckpointReadError."""
    if not path.is_file():
        raise CheckpointNotFoundError(f"{path.parent} has no {path.name}: not a checkpoint")
    refuse_pointer(path)
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ValueError(f"it has more than {_MAX_JSON_BYTES} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointReadError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointReadError(f"{path} holds a {type(content).__name__}; an object is needed")
    return content


def refuse_pointer(path: Path) -> None:
    """Raise CheckpointReadError for a file that only points to another one in Git LFS."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(_LFS))
    except OSError as error:
        raise CheckpointReadError(f"{path} cannot be read: {error.strerror}") from error
    if begin == _LFS:
        raise CheckpointReadError(f"{path} is a Git LFS pointer, not the file; run `git lfs pull`")


def refuse_adapter(folder: Path, weights: Collection[str] = ()) -> None:
    """Raise CheckpointError for an adapter (PEFT), by its files or by the names of the weights."""
    files = [name for name in _ADAPTERS if (folder / name).is_file()]
    if files or any(".lora_" in name or ".base_layer." in name for name in weights):
        what = files[0] if files else "LoRA weights"
        raise CheckpointError(
            f"{folder} holds an adapter ({what}); merge it into its model first, "
            "PeftModel.from_pretrained(model, ADAPTER).merge_and_unload().save_pretrained(FOLDER), "
            "and export FOLDER"
        )


def parse_config(content: dict[str, Any], path: Path) -> Any:
    """Return the content of config.json as transformers' SEWDConfig; raises UnsupportedConfigError."""
    if content.get("model_type") != SEWDConfig.model_type:
        raise UnsupportedConfigError(
            f"{path}: model_type is {content.get('model_type')!r:.99}; supported is {SEWDConfig.model_type!r}"
        )
    try:
        return SEWDConfig.from_dict(content)
    except Exception as error:  # transformers 5 validates with errors of several kinds
        raise UnsupportedConfigError(f"{path}: {one_line(error)}") from error


def find_task(architectures: Any, weights: Collection[str], path: Path) -> tuple[str | None, Task]:
    """Return the architecture, None if config.json names none, and the task.

    architectures: as in config.json, at `path`. weights: the names of the checkpoint's weights; without an
    architecture, the head among them decides.
    Raises UnknownTaskError.
    """
    if architectures:
        stated = architectures if isinstance(architectures, list) else [architectures]
        name = str(stated[0])
        if len(stated) != 1 or name not in _TASKS:
            raise UnknownTaskError(
                f"{path}: architectures is {architectures!r:.99}; one of {', '.join(_TASKS)} is supported"
            )
        return name, _TASKS[name]
    tasks = [task for head, task in _HEADS.items() if head in weights]
    if len(tasks) != 1:
        raise UnknownTaskError(
            f"{path} states no architectures, and the weights hold {'both' if tasks else 'neither'} of "
            f"{' and '.join(_HEADS)}; state one of {', '.join(_TASKS)}"
        )
    return None, tasks[0]


def read_labels(config: Any, path: Path) -> tuple[str, ...]:
    """Return a classifier's labels, in the order of its outputs; raises UnsupportedConfigError."""
    try:
        labels = {int(index): str(label) for index, label in config.id2label.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise UnsupportedConfigError(f"{path}: id2label: {one_line(error)}") from error
    if sorted(labels) != list(range(len(labels))):
        raise UnsupportedConfigError(
            f"{path}: id2label has the ids {sorted(labels)!s:.99}; needed are 0, 1, 2, ..."
        )
    if refused := [label for label in labels.values() if has_controls(label)]:
        raise UnsupportedConfigError(
            f"{path}: id2label: {refused[0]!a:.40} has control characters; rename it"
        )
    return tuple(labels[index] for index in range(len(labels)))


def read_preprocessor(folder: Path) -> dict[str, Any]:
    """Return the feature extractor's options; those that no file states have their default.

    They are read from processor_config.json, key `feature_extractor` (transformers 5), or from
    preprocessor_config.json.
    Raises UnsupportedConfigError for another feature extractor or an unsupported value.
    """
    path = folder / "processor_config.json"
    stated = read_json(path).get("feature_extractor") if path.is_file() else None
    if stated is None:
        path = folder / "preprocessor_config.json"
        stated = read_json(path) if path.is_file() else {}
    if not isinstance(stated, dict):
        raise UnsupportedConfigError(f"{path}: feature_extractor is {stated!r:.99}; an object is needed")
    options = {**_PREPROCESSOR, **stated}
    kind, rate = options["feature_extractor_type"], options["sampling_rate"]
    supported = {
        "feature_extractor_type": kind == _PREPROCESSOR["feature_extractor_type"],
        "feature_size": options["feature_size"] == 1,
        "sampling_rate": isinstance(rate, int) and rate in _SAMPLE_RATES_HZ,
        "do_normalize": isinstance(options["do_normalize"], bool),
    }
    refused = [f"{field} is {options[field]!r:.99}" for field, fits in supported.items() if not fits]
    if refused:
        raise UnsupportedConfigError(f"{path}: {', '.join(refused)}, which is not supported")
    return options


def one_line(error: Exception) -> str:
    """Return an error's message on one line, its type if it has none."""
    return " ".join(str(error).split())[:500] or type(error).__name__
