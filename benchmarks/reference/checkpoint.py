"""The configurations trained here, and checkpoint folders that transformers can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import SEWDConfig, SEWDForCTC, SEWDForSequenceClassification

from benchmarks.reference.layout import LETTERS, PREPROCESSOR
from benchmarks.results import write

Config = Mapping[str, Any]

DIGITS: Config = {
    "vocab_size": len(LETTERS),
    "hidden_size": 192,
    "num_hidden_layers": 6,
    "num_attention_heads": 3,
    "intermediate_size": 768,
    "squeeze_factor": 2,
    "max_position_embeddings": 512,
    "position_buckets": 256,
    "share_att_key": True,
    "relative_attention": True,
    "pos_att_type": ("p2c", "c2p"),
    "norm_rel_ebd": "layer_norm",
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "feat_extract_norm": "group",
    "layer_norm_eps": 1e-7,
    "feature_layer_norm_eps": 1e-5,
    "conv_dim": (32, 64, 64, 64, 64, 128, 128, 128, 128, 256, 256, 256, 256),
    "conv_stride": (5, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1),
    "conv_kernel": (10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1),
    "conv_bias": False,
    "num_conv_pos_embeddings": 31,
    "num_conv_pos_embedding_groups": 16,
    "hidden_dropout": 0.05,
    "activation_dropout": 0.0,
    "attention_dropout": 0.05,
    "feat_proj_dropout": 0.0,
    "final_dropout": 0.0,
    "apply_spec_augment": False,
    "ctc_loss_reduction": "mean",
    "ctc_zero_infinity": True,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
"""3.4 million parameters."""

KEYWORDS: Config = DIGITS | {
    "hidden_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "position_buckets": 32,
    "hidden_dropout": 0.1,
    "classifier_proj_size": 32,
    "num_labels": 13,
}
"""2.3 million parameters."""


def build_model(config: Config) -> SEWDForCTC:
    """Return the model with random weights."""
    return SEWDForCTC(SEWDConfig(**config))


def build_classifier(config: Config) -> SEWDForSequenceClassification:
    """Return the classifier with random weights."""
    return SEWDForSequenceClassification(SEWDConfig(**config))


def save_checkpoint(folder: Path, config: Config, state: Mapping[str, torch.Tensor]) -> None:
    """Write configuration, tokenizer and float16 weights; each file appears only when complete."""
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    tokenizer = {
        "tokenizer_class": "Wav2Vec2CTCTokenizer",
        "processor_class": "Wav2Vec2Processor",
        "word_delimiter_token": "|",
        "do_lower_case": False,
        "replace_word_delimiter_char": " ",
        **special,
    }
    contents = {
        "config.json": _described(config, "SEWDForCTC"),
        "vocab.json": {letter: index for index, letter in enumerate(LETTERS)},
        "tokenizer_config.json": tokenizer,
        "special_tokens_map.json": special,
        "preprocessor_config.json": PREPROCESSOR,
    }
    _save(folder, contents, state)


def save_classifier(
    folder: Path, config: Config, state: Mapping[str, torch.Tensor], labels: Sequence[str]
) -> None:
    """Write configuration with labels and float16 weights; samples keep their level, unlike elsewhere."""
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: at for at, label in enumerate(labels)}}
    contents = {
        "config.json": _described(config, "SEWDForSequenceClassification") | names,
        "preprocessor_config.json": PREPROCESSOR | {"do_normalize": False},
    }
    _save(folder, contents, state)


def _described(config: Config, architecture: str) -> dict[str, Any]:
    written: dict[str, Any] = SEWDConfig(**config, architectures=[architecture], dtype="float16").to_dict()
    written.pop("_name_or_path", None)
    return written


def _save(folder: Path, contents: Mapping[str, Any], state: Mapping[str, torch.Tensor]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write(folder / name, content)
    halves = {name: value.detach().half().contiguous() for name, value in state.items()}
    temporary = folder / "model.safetensors.part"
    save_file(halves, temporary, metadata={"format": "pt"})
    temporary.replace(folder / "model.safetensors")
