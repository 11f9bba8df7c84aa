"""Make the small checkpoints and bundles that the tests read: `python tests/data/make.py`.

Random SEW-D models of 27,000 parameters, seeded, with convolutions of their own so that nothing can rest on
400 and 320.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import SEWDConfig, SEWDForCTC, SEWDForSequenceClassification

from sewd_export import export

FOLDER = Path(__file__).parent
TOKENS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]
CONFIG: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": (8, 12, 12, 16),
    "conv_kernel": (10, 3, 1, 4),
    "conv_stride": (5, 4, 1, 4),
    "num_conv_pos_embeddings": 15,
    "num_conv_pos_embedding_groups": 4,
    "position_buckets": 32,
    "max_position_embeddings": 64,
    "classifier_proj_size": 24,
    "id2label": {0: "yes", 1: "no", 2: "unknown"},
}


def save_checkpoint(model: Any, folder: Path) -> None:
    """Save a model with weights large enough that every term shows, and the files of its preprocessor."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(TOKENS)}) + "\n")
    extractor = {"do_normalize": True, "feature_size": 1, "sampling_rate": 16000}
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor, indent=2) + "\n")


def main() -> None:
    """Write `checkpoint-*` and the bundles made of them."""
    torch.manual_seed(0)
    for name, head, precisions in (
        ("tiny", SEWDForCTC, ("fp32", "fp16", "int8", "int8-static")),
        ("tiny-classifier", SEWDForSequenceClassification, ("fp32",)),
    ):
        checkpoint = FOLDER / f"checkpoint-{name}"
        save_checkpoint(head(SEWDConfig(**CONFIG)), checkpoint)
        print(export(checkpoint, FOLDER / name, precisions=precisions, progress=print).report)


if __name__ == "__main__":
    main()
