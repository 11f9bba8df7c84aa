"""Random small models of every configuration, saved and loaded as a user's checkpoint would be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import SEWDConfig, SEWDForCTC, SEWDForSequenceClassification, SEWDModel
from transformers.utils.logging import disable_progress_bar

from sewd_export.checkpoint.loading import Checkpoint, load_checkpoint

HEADS = {"ctc": SEWDForCTC, "classification": SEWDForSequenceClassification, "encoding": SEWDModel}
TOKENS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]
SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": (8, 12, 12, 16),
    "conv_kernel": (10, 3, 1, 2),
    "conv_stride": (5, 2, 1, 2),
    "num_conv_pos_embeddings": 15,
    "num_conv_pos_embedding_groups": 4,
    "position_buckets": 32,
    "max_position_embeddings": 64,
    "classifier_proj_size": 24,
}

MakeCheckpoint = Callable[..., Checkpoint]


@pytest.fixture(scope="session", autouse=True)
def _quick_and_quiet(one_thread: None) -> None:
    disable_progress_bar()  # of save_pretrained


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> MakeCheckpoint:
    """Return a function that saves a random small model and loads it."""

    def make(
        task: str = "ctc", *, do_normalize: bool = True, seed: int = 0, num_labels: int = 5, **fields: Any
    ) -> Checkpoint:
        torch.manual_seed(seed)
        config = SEWDConfig(**{**SMALL, "num_labels": num_labels, **fields})
        model = HEADS[task](config)
        with torch.no_grad():  # the default initialisation is so small that most terms would not show
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        folder = tmp_path / f"{task}-{seed}"
        model.save_pretrained(folder)
        (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(TOKENS)}))
        extractor = {"do_normalize": do_normalize, "sampling_rate": 16000, "feature_size": 1}
        (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
        return load_checkpoint(folder)

    return make
