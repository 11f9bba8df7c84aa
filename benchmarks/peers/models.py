"""The models that are compared, and the comparisons: which variants of which models one run measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.reference.layout import LETTERS, PREPROCESSOR
from benchmarks.results import write

SEED = 0

_SEW_D: Mapping[str, Any] = {
    "squeeze_factor": 2,
    "conv_kernel": (10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1),
    "conv_stride": (5, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1),
    "num_conv_pos_embeddings": 31,
    "num_conv_pos_embedding_groups": 16,
    "position_buckets": 256,
    "max_position_embeddings": 512,
    "pos_att_type": ("p2c", "c2p"),
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "feat_extract_norm": "group",
    "layer_norm_eps": 1e-7,
    "hidden_act": "gelu_python",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A checkpoint: random weights with a published model's dimensions, or the digits model.

    config: differences from the configuration's defaults; None is the digits model.
    """

    name: str
    title: str
    kind: str = "sew-d"
    config: Mapping[str, Any] | None

    @property
    def trained(self) -> bool:
        """Whether its transcripts are meaningful."""
        return self.config is None


def _sew_d(name: str, *, layers: int, hidden: int, heads: int, width: int) -> Model:
    config = {
        **_SEW_D,
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "intermediate_size": 4 * hidden,
        "conv_dim": (width, *(2 * width,) * 4, *(4 * width,) * 4, *(8 * width,) * 4),
    }
    return Model(name=name, title=f"SEW-D {name} dimensions", config=config)


_ALL = (
    Model(name="digits", title="the embedded digits model", config=None),
    _sew_d("tiny", layers=12, hidden=384, heads=6, width=64),
    _sew_d("mid", layers=24, hidden=512, heads=8, width=64),
    _sew_d("base-plus", layers=24, hidden=768, heads=12, width=96),
    Model(name="wav2vec2-base", title="wav2vec 2.0 base dimensions", kind="wav2vec2", config={}),
)
MODELS: Mapping[str, Model] = {model.name: model for model in _ALL}


def write_checkpoint(model: Model, folder: Path) -> None:
    """Write a checkpoint of seeded random weights, with the files that exporters need."""
    import torch
    from transformers import SEWDConfig, SEWDForCTC, Wav2Vec2Config, Wav2Vec2ForCTC

    torch.manual_seed(SEED)
    shared = {"vocab_size": len(LETTERS), "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    settings = {**shared, **(model.config or {})}
    network: Any = (
        SEWDForCTC(SEWDConfig(**settings))
        if model.kind == "sew-d"
        else Wav2Vec2ForCTC(Wav2Vec2Config(**settings))
    )
    network.eval().save_pretrained(folder)
    write(folder / "vocab.json", {token: index for index, token in enumerate(LETTERS)})
    write(folder / "preprocessor_config.json", PREPROCESSOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The variants of one run, which become one file of results.

    variants: names or patterns.
    baselines: variants of the same model that the others are compared with; with `baseline_model`, the same
    variant of that model instead.
    """

    name: str
    title: str
    models: Sequence[str]
    variants: Sequence[str] = ("*",)
    baselines: Sequence[str] = ("transformers", "optimum")
    baseline_model: str | None = None
    rounds: int = 15


COMPARISONS: Mapping[str, Comparison] = {
    comparison.name: comparison
    for comparison in (
        Comparison(name="digits", title="the embedded digits model", models=("digits",)),
        Comparison(name="tiny", title="SEW-D tiny dimensions, random weights", models=("tiny",)),
        Comparison(name="mid", title="SEW-D mid dimensions, random weights", models=("mid",), rounds=7),
        Comparison(
            name="wav2vec2",
            title="wav2vec 2.0 base beside SEW-D, random weights",
            models=("wav2vec2-base", "tiny", "mid", "base-plus"),
            variants=("transformers", "exporters"),
            baselines=(),
            baseline_model="wav2vec2-base",
            rounds=7,
        ),
    )
}
