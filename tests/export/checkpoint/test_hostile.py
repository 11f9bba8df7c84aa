"""Law: what is no checkpoint of ours is refused by name, in seconds, in little memory."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sewd_export.checkpoint.config import read_labels
from sewd_export.checkpoint.loading import load_checkpoint
from sewd_export.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    CheckpointReadError,
    ExportError,
    TokenizerError,
    UnsafeCheckpointError,
    UnsupportedConfigError,
    WeightError,
)
from sewd_export.families import check_config

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 12345\n"


def weights_of(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def save_pickle(folder: Path, content: Any) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(content, folder / "pytorch_model.bin")


def change_json(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, **changes}))


# Names.


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: f"module.{name}",
        lambda name: f"_orig_mod.{name}",
        lambda name: f"module._orig_mod.{name}",
        lambda name: name.replace("sew_d.encoder.", "sew_d._orig_mod.encoder._fsdp_wrapped_module."),
        lambda name: f"model.{name}",
        lambda name: f"lightning.model._orig_mod.{name}",
    ],
    ids=["module", "_orig_mod", "nested", "inside", "model", "lightning"],
)
def test_names_that_trainers_prefix_are_the_models(
    tiny: Path, checkpoint: Path, rename: Callable[[str], str]
) -> None:
    weights = {rename(name): tensor for name, tensor in weights_of(checkpoint).items()}
    save_file(weights, checkpoint / "model.safetensors")
    expected = load_checkpoint(tiny).state_dict
    found = load_checkpoint(checkpoint).state_dict
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_weight_with_and_without_a_prefix_is_refused(checkpoint: Path) -> None:
    weights = weights_of(checkpoint)
    twice = {f"module.{name}": tensor.clone() for name, tensor in weights.items() if name == "lm_head.bias"}
    save_file(weights | twice, checkpoint / "model.safetensors")
    with pytest.raises(CheckpointReadError, match=r"lm_head\.bias is in the files twice"):
        load_checkpoint(checkpoint)


def test_many_weights_that_do_not_fit_are_counted(checkpoint: Path) -> None:
    weights = weights_of(checkpoint)
    save_file(
        {f"x{i}.{name}": tensor for i, (name, tensor) in enumerate(weights.items())},
        checkpoint / "model.safetensors",
    )
    with pytest.raises(WeightError) as raised:
        load_checkpoint(checkpoint)
    message = str(raised.value).removeprefix(str(checkpoint))
    assert f"and {len(raised.value.missing) - 1} more" in message
    assert len(raised.value.unexpected) == len(weights)
    assert len(message) < 300


# Other files under the names of a checkpoint's.


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
@pytest.mark.parametrize("alone", [True, False])
def test_an_adapter_says_how_to_merge_it(checkpoint: Path, name: str, alone: bool) -> None:
    (checkpoint / name).write_text("{}")
    if alone:
        (checkpoint / "config.json").unlink()
        (checkpoint / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=rf"an adapter \({name}\); merge it .*merge_and_unload"):
        load_checkpoint(checkpoint)


def test_a_model_with_its_adapter_unmerged_says_so(checkpoint: Path) -> None:
    weights = weights_of(checkpoint)
    weights["base_model.model.sew_d.encoder.layer.0.query_proj.lora_A.weight"] = torch.zeros(8, 32)
    save_file(weights, checkpoint / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"an adapter .*merge_and_unload"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.json", "pytorch_model.bin"])
def test_a_pointer_of_git_lfs_is_named(checkpoint: Path, name: str) -> None:
    if name == "pytorch_model.bin":
        (checkpoint / "model.safetensors").unlink()
    (checkpoint / name).write_text(POINTER)
    with pytest.raises(CheckpointReadError, match=rf"{name} is a Git LFS pointer.*git lfs pull"):
        load_checkpoint(checkpoint)


def test_what_is_no_file_is_not_read(checkpoint: Path) -> None:
    (checkpoint / "config.json").unlink()
    os.mkfifo(checkpoint / "config.json")
    with pytest.raises(CheckpointNotFoundError, match=r"has no config\.json"):
        load_checkpoint(checkpoint)


# Tensors.


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({5: torch.zeros(3)}, "a weight is named 5"),
        ({"x": torch.zeros(1).expand(10**10)}, "x is larger than its file"),
        ({f"x{i}": torch.zeros(1_000).expand(50, 1_000) for i in range(40)}, "is larger than its file"),
        ({"x": torch.zeros(3, 3).to_sparse()}, "x is not a dense tensor"),
        ({"x": torch.zeros(3, dtype=torch.int64)}, "x is not a dense tensor of floating"),
        ({"x": torch.zeros(3, device="meta")}, "x is not a dense tensor"),
        ({"state_dict": {"x": torch.zeros(1)}}, "state_dict holds another dict"),
    ],
    ids=["integer key", "expanded", "many expanded", "sparse", "integers", "meta", "nested"],
)
def test_a_tensor_that_is_no_weight_is_refused_before_it_is_copied(
    checkpoint: Path, extra: dict[Any, Any], message: str
) -> None:
    save_pickle(checkpoint, {**weights_of(checkpoint), **extra})
    with pytest.raises(CheckpointReadError, match=message):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_of_a_training_that_diverged_are_refused(checkpoint: Path, value: float) -> None:
    weights = weights_of(checkpoint)
    weights["lm_head.bias"][3] = value
    save_file(weights, checkpoint / "model.safetensors")
    with pytest.raises(CheckpointReadError, match=r"lm_head\.bias has NaN or infinite numbers, as 1 of"):
        load_checkpoint(checkpoint)


def test_a_pickle_that_unpacks_to_more_is_refused(checkpoint: Path) -> None:
    path = checkpoint / "pytorch_model.bin"
    save_pickle(checkpoint, {**weights_of(checkpoint), "x": torch.zeros(10_000_000)})
    packed = path.with_suffix(".packed")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    packed.replace(path)
    with pytest.raises(UnsafeCheckpointError, match=r"pytorch_model\.bin unpacks to \d+ bytes"):
        load_checkpoint(checkpoint)


# Configuration.


@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": 100_000},
        {"num_hidden_layers": 10**300},
        {"hidden_size": 10**6},
        {"intermediate_size": 10**12},
        {"vocab_size": 10**9},
        {"conv_dim": [8] * 100_000, "conv_kernel": [3] * 100_000, "conv_stride": [1] * 100_000},
        {"conv_dim": 3},
        {"conv_stride": [10**9, 4, 1, 4]},
        {"conv_stride": [0, 4, 1, 4]},
        {"conv_kernel": [10, -3, 1, 4]},
        {"squeeze_factor": 0},
        {"num_hidden_layers": "2"},
        {"num_hidden_layers": None},
        {"num_attention_heads": 0},
        {"max_position_embeddings": "far"},
        {"position_buckets": [1]},
    ],
    ids=lambda changes: " ".join(f"{name} {value!s:.12}" for name, value in changes.items()),
)
def test_an_absurd_configuration_is_refused_before_the_model_is_built(
    checkpoint: Path, changes: dict[str, Any]
) -> None:
    change_json(checkpoint, "config.json", **changes)
    with pytest.raises((UnsupportedConfigError, WeightError)) as raised:
        check_config(load_checkpoint(checkpoint))
    assert len(str(raised.value)) < 1_000


@pytest.mark.parametrize("rate", [10**9, 1, 16_000.5, -16_000])
def test_an_absurd_sample_rate_is_refused(checkpoint: Path, rate: float) -> None:
    change_json(checkpoint, "preprocessor_config.json", sampling_rate=rate)
    with pytest.raises(UnsupportedConfigError, match="sampling_rate is"):
        load_checkpoint(checkpoint)


# Tokenizer.


@pytest.mark.parametrize("kind", [[], ["Wav2Vec2CTCTokenizer"], {}, 3, "Other"])
def test_an_absurd_tokenizer_class_is_refused(checkpoint: Path, kind: Any) -> None:
    change_json(checkpoint, "tokenizer_config.json", tokenizer_class=kind)
    with pytest.raises(UnsupportedConfigError, match="tokenizer_class is"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize("name", ["vocab.json", "added_tokens.json"])
def test_a_vocabulary_of_400000_tokens_is_refused(checkpoint: Path, name: str) -> None:
    change_json(checkpoint, name, **{f"token {i}": i for i in range(400_000)})
    with pytest.raises(TokenizerError, match="are supported: is it the"):
        load_checkpoint(checkpoint)


def test_a_vocabulary_for_each_language_is_named(checkpoint: Path) -> None:
    path = checkpoint / "vocab.json"
    path.write_text(json.dumps({"eng": json.loads(path.read_text())}))
    with pytest.raises(TokenizerError, match="a vocabulary for each language"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize("token", ["\n", "\t", "\x1b[2J", "\u2028", "\x7f"])
def test_a_token_that_no_bundle_can_hold_is_refused_by_name(checkpoint: Path, token: str) -> None:
    path = checkpoint / "vocab.json"
    path.write_text(path.read_text().replace('"A"', json.dumps(token)))
    with pytest.raises(TokenizerError, match=r"vocab\.json: 1 tokens have control characters.*rename them"):
        load_checkpoint(checkpoint)


def test_a_token_that_is_not_text_is_refused(checkpoint: Path) -> None:
    path = checkpoint / "vocab.json"
    path.write_text(path.read_text().replace('"A"', '"\\ud800"'))
    with pytest.raises(ExportError, match=r"vocab\.json|tokenizer files"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize("label", ["yes\n", "\x1b[2J", "\ud800"])
def test_a_label_that_no_bundle_can_hold_is_refused_by_name(tiny: Path, label: str) -> None:
    config = SimpleNamespace(id2label={0: "no", 1: label})
    with pytest.raises(UnsupportedConfigError, match=r"id2label: .* has control characters"):
        read_labels(config, tiny / "config.json")
