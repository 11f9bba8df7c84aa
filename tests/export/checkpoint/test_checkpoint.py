from __future__ import annotations

import hashlib
import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import SEWDConfig, SEWDForCTC, SEWDForSequenceClassification, SEWDModel

from sewd_export.checkpoint import sources
from sewd_export.checkpoint.loading import Checkpoint, load_checkpoint, reference_model
from sewd_export.errors import (
    CheckpointNotFoundError,
    CheckpointReadError,
    UnknownTaskError,
    UnsafeCheckpointError,
    UnsupportedConfigError,
    WeightError,
)

CONFIG = {
    "vocab_size": 9,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8, 12],
    "conv_kernel": [10, 3],
    "conv_stride": [5, 2],
    "num_conv_pos_embeddings": 7,
    "num_conv_pos_embedding_groups": 4,
    "position_buckets": 8,
    "max_position_embeddings": 32,
    "classifier_proj_size": 10,
    "id2label": {"0": "no", "1": "yes", "2": "maybe"},
    "label2id": {"no": 0, "yes": 1, "maybe": 2},
}
ORIGINALS = {"ctc": SEWDForCTC, "classification": SEWDForSequenceClassification, "encoding": SEWDModel}
POSITIONS = "encoder.pos_conv_embed.conv"


def original(task: str = "ctc", **changes: Any) -> Any:
    torch.manual_seed(0)
    return ORIGINALS[task](SEWDConfig(**{**CONFIG, **changes})).eval()


def output(model: Any, samples: Tensor | None = None) -> Tensor:
    if samples is None:
        samples = torch.randn(1, 777, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = model(samples)
    return next(found[name] for name in ("logits", "last_hidden_state") if name in found)


def weights_of(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def write_weights(folder: Path, weights: dict[str, Tensor]) -> None:
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / "model.safetensors")


def write_tokens(folder: Path) -> None:
    tokens = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCD"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))


def write_config(folder: Path, remove: tuple[str, ...] = (), **changes: Any) -> None:
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in config.items() if name not in remove}))


@pytest.fixture(scope="module")
def all_saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of each task in one safetensors file, in a folder of the task's name."""
    folder = tmp_path_factory.mktemp("saved")
    for task in ORIGINALS:
        original(task).save_pretrained(folder / task)
        write_tokens(folder / task)
    return folder


@pytest.fixture
def saved(all_saved: Path, tmp_path: Path) -> Path:
    """A CTC checkpoint to change, in the folder `tiny`."""
    return shutil.copytree(all_saved / "ctc", tmp_path / "tiny")


@pytest.fixture
def saved_base(all_saved: Path, tmp_path: Path) -> Path:
    """A checkpoint without a head to change."""
    return shutil.copytree(all_saved / "encoding", tmp_path / "base")


def to_pickle(folder: Path) -> None:
    torch.save(weights_of(folder), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def to_shards(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    original().save_pretrained(folder, max_shard_size="8KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2


def to_pickle_shards(folder: Path) -> None:
    weights = weights_of(folder)
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    files = {"pytorch_model-00001-of-00002.bin": names[:10], "pytorch_model-00002-of-00002.bin": names[10:]}
    for file, part in files.items():
        torch.save({name: weights[name] for name in part}, folder / file)
    weight_map = {name: file for file, part in files.items() for name in part}
    (folder / "pytorch_model.bin.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": weight_map})
    )


def to_old_weight_norm(folder: Path) -> None:
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    weights = weights_of(folder)
    for new_name, old_name in old.items():
        weights[f"sew_d.{POSITIONS}.{old_name}"] = weights.pop(f"sew_d.{POSITIONS}.{new_name}")
    write_weights(folder, weights)
    to_pickle(folder)


def to_old_zipless_pickle(folder: Path) -> None:
    weights = weights_of(folder)
    torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    "rewrite",
    [lambda folder: None, to_pickle, to_shards, to_pickle_shards, to_old_weight_norm, to_old_zipless_pickle],
    ids=["safetensors", "pickle", "shards", "pickle_shards", "old_weight_norm", "old_pickle"],
)
def test_every_format_gives_the_same_model(saved: Path, rewrite: Callable[[Path], None]) -> None:
    rewrite(saved)
    checkpoint = load_checkpoint(saved)
    expected = original()
    names = set(expected.state_dict()) - {"sew_d.masked_spec_embed"}
    assert set(checkpoint.state_dict) == names
    assert all(torch.equal(checkpoint.state_dict[name], expected.state_dict()[name]) for name in names)
    assert torch.equal(output(reference_model(checkpoint)), output(expected))


@pytest.mark.parametrize("task", ORIGINALS)
@pytest.mark.parametrize(
    "changes", [{}, {"feat_extract_norm": "layer", "use_weighted_layer_sum": True}], ids=str
)
def test_every_task_equals_the_library_loading_it(tmp_path: Path, task: str, changes: dict[str, Any]) -> None:
    original(task, **changes).save_pretrained(tmp_path / "it")
    write_tokens(tmp_path / "it")
    checkpoint = load_checkpoint(tmp_path / "it")
    assert checkpoint.task == task
    model = reference_model(checkpoint)
    assert type(model) is ORIGINALS[task]
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert torch.equal(output(model), output(ORIGINALS[task].from_pretrained(tmp_path / "it").eval()))


def test_what_else_a_checkpoint_knows(saved: Path) -> None:
    checkpoint = load_checkpoint(str(saved))
    assert (checkpoint.name, checkpoint.origin, checkpoint.folder) == ("tiny", "tiny", saved.resolve())
    assert checkpoint.config.hidden_size == 16
    assert checkpoint.sample_rate_hz == 16_000
    assert checkpoint.sha256 == hashlib.sha256((saved / "model.safetensors").read_bytes()).hexdigest()
    assert checkpoint.labels is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_become_float32(saved: Path, dtype: torch.dtype) -> None:
    narrow = {name: tensor.to(dtype) for name, tensor in weights_of(saved).items()}
    write_weights(saved, narrow)
    write_config(saved, dtype=str(dtype).removeprefix("torch."))
    checkpoint = load_checkpoint(saved)
    assert {tensor.dtype for tensor in checkpoint.state_dict.values()} == {torch.float32}
    assert all(torch.equal(tensor, narrow[name].float()) for name, tensor in checkpoint.state_dict.items())
    assert output(reference_model(checkpoint)).dtype == torch.float32


def test_the_hash_depends_on_the_weights_alone(saved: Path, tmp_path: Path) -> None:
    to_shards(saved)
    first = load_checkpoint(saved)
    moved = shutil.copytree(saved, tmp_path / "elsewhere")
    write_config(moved, hidden_dropout=0.3)
    assert load_checkpoint(moved).sha256 == first.sha256
    shard = next(moved.glob("model-00002*"))
    save_file({name: tensor + 1 for name, tensor in load_file(shard).items()}, shard)
    assert load_checkpoint(moved).sha256 != first.sha256


# Names.


def test_a_base_model_may_have_the_prefix(saved_base: Path) -> None:
    weights = weights_of(saved_base)
    write_weights(saved_base, {f"sew_d.{name}": tensor for name, tensor in weights.items()})
    assert torch.equal(output(reference_model(load_checkpoint(saved_base))), output(original("encoding")))


def test_the_base_of_another_task_may_lack_the_prefix(saved: Path) -> None:
    write_weights(saved, {name.removeprefix("sew_d."): tensor for name, tensor in weights_of(saved).items()})
    assert torch.equal(output(reference_model(load_checkpoint(saved))), output(original()))


def test_the_heads_of_pre_training_are_left_out(saved_base: Path) -> None:
    weights = {f"sew_d.{name}": tensor for name, tensor in weights_of(saved_base).items()}
    heads = {
        f"{name}.weight": torch.zeros(3) for name in ("quantizer.weight_proj", "project_q", "project_hid")
    }
    write_weights(saved_base, weights | heads)
    with pytest.raises(WeightError, match=r"project_hid\.weight, project_q\.weight, quantizer\.weight_proj"):
        load_checkpoint(saved_base)
    write_config(saved_base, architectures=["SEWDForPreTraining"])
    checkpoint = load_checkpoint(saved_base)
    assert checkpoint.task == "encoding"
    assert torch.equal(output(reference_model(checkpoint)), output(original("encoding")))


@pytest.mark.parametrize("probability", [0.0, 0.05])
@pytest.mark.parametrize("present", [True, False])
def test_the_embedding_of_masked_frames_is_optional(saved: Path, probability: float, present: bool) -> None:
    weights = weights_of(saved)
    if not present:
        del weights["sew_d.masked_spec_embed"]
    write_weights(saved, weights)
    write_config(saved, mask_time_prob=probability)
    checkpoint = load_checkpoint(saved)
    assert "sew_d.masked_spec_embed" not in checkpoint.state_dict
    assert torch.equal(output(reference_model(checkpoint)), output(original()))


def test_every_weight_that_does_not_fit_is_named(saved: Path) -> None:
    weights = weights_of(saved)
    missing = [
        "lm_head.bias",
        "sew_d.layer_norm.weight",
        f"sew_d.{POSITIONS}.parametrizations.weight.original0",
    ]
    for name in missing:
        del weights[name]
    weights["sew_d.encoder.extra"] = torch.zeros(1)
    weights["head.weight"] = torch.zeros(1)
    weights["lm_head.weight"] = torch.zeros(8, 16)
    write_weights(saved, weights)
    with pytest.raises(WeightError) as raised:
        load_checkpoint(saved)
    error = raised.value
    assert sorted(error.missing) == sorted(missing)
    assert error.unexpected == ("head.weight", "sew_d.encoder.extra")
    assert error.wrong_shape == ("lm_head.weight (8, 16) instead of (9, 16)",)
    for name in (*error.missing, *error.unexpected, *error.wrong_shape, str(saved)):
        assert name in str(error)


def test_a_weight_under_two_names_is_unexpected(saved: Path) -> None:
    weights = weights_of(saved)
    write_weights(saved, weights | {"layer_norm.weight": weights["sew_d.layer_norm.weight"].clone()})
    with pytest.raises(WeightError, match=r"unexpected: \S*layer_norm\.weight$"):
        load_checkpoint(saved)


# Files.


class Exploit:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_runs_code_is_refused_and_does_not(saved: Path, zipped: bool) -> None:
    (saved / "model.safetensors").unlink()
    target = saved / "touched"
    exploit = {"lm_head.weight": Exploit(target)}
    if zipped:
        torch.save(exploit, saved / "pytorch_model.bin")
    else:
        (saved / "pytorch_model.bin").write_bytes(pickle.dumps(exploit, protocol=2))
    with pytest.raises(UnsafeCheckpointError, match=r"pytorch_model\.bin"):
        load_checkpoint(saved)
    assert not target.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("content", [b"", b"not weights", None], ids=["empty", "text", "truncated"])
def test_a_damaged_file_is_named(saved: Path, name: str, content: bytes | None) -> None:
    if name == "pytorch_model.bin":
        to_pickle(saved)
    path = saved / name
    path.write_bytes(path.read_bytes()[:-999] if content is None else content)
    with pytest.raises((CheckpointReadError, UnsafeCheckpointError), match=re.escape(str(path))):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    "content", [[torch.zeros(1)], {"lm_head.weight": 3}, {"lm_head.weight": torch.zeros(1).int()}]
)
def test_a_pickle_of_something_else_is_refused(saved: Path, content: Any) -> None:
    (saved / "model.safetensors").unlink()
    torch.save(content, saved / "pytorch_model.bin")
    with pytest.raises(CheckpointReadError, match=r"state dict|floating-point"):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    "name", ["../other.safetensors", "/etc/passwd", "a/b", "a\\b", "..", "", "C:evil", "a\0b"]
)
def test_an_index_cannot_leave_the_folder(saved: Path, name: str) -> None:
    weights = saved / "model.safetensors"
    shutil.copy(weights, saved.parent / "other.safetensors")
    weights.unlink()
    index = {"metadata": {}, "weight_map": {"lm_head.weight": name}}
    (saved / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UnsafeCheckpointError, match=r"index\.json"):
        load_checkpoint(saved)


def test_absent_shards_are_named(saved: Path) -> None:
    to_shards(saved)
    absent = sorted(saved.glob("model-*"))[1:3]
    for shard in absent:
        shard.unlink()
    with pytest.raises(CheckpointNotFoundError) as raised:
        load_checkpoint(saved)
    assert all(shard.name in str(raised.value) for shard in absent)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": {}}'])
def test_a_bad_index_is_named(saved: Path, content: str) -> None:
    (saved / "model.safetensors").unlink()
    (saved / "model.safetensors.index.json").write_text(content)
    with pytest.raises(CheckpointReadError, match=r"index\.json"):
        load_checkpoint(saved)


def test_a_folder_without_weights_is_named(saved: Path) -> None:
    (saved / "model.safetensors").unlink()
    with pytest.raises(CheckpointNotFoundError, match=r"tiny holds no weights.*pytorch_model\.bin"):
        load_checkpoint(saved)


# Configuration.


@pytest.mark.parametrize("content", [None, "{", "[]", "\xff"])
def test_a_bad_config_is_named(saved: Path, content: str | None) -> None:
    path = saved / "config.json"
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="latin-1")
    with pytest.raises(
        CheckpointNotFoundError if content is None else CheckpointReadError, match=r"config\.json"
    ):
        load_checkpoint(saved)


@pytest.mark.parametrize("model_type", ["wav2vec2", "sew", None])
def test_another_family_is_refused(saved: Path, model_type: str | None) -> None:
    write_config(saved, model_type=model_type)
    with pytest.raises(UnsupportedConfigError, match=f"model_type is {model_type!r}"):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": "wide"},
        {"conv_stride": [5, 2, 2]},
        {"hidden_act": "no such thing"},
        {"num_attention_heads": 3},
        {"id2label": {"1": "a", "x": "b"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_config_that_the_library_refuses_is_refused(saved: Path, change: dict[str, Any]) -> None:
    write_config(saved, **change)
    with pytest.raises(UnsupportedConfigError, match=r"config\.json"):
        load_checkpoint(saved)


def test_labels_are_in_the_order_of_their_ids(all_saved: Path, tmp_path: Path) -> None:
    shutil.copytree(all_saved / "classification", tmp_path, dirs_exist_ok=True)
    write_config(
        tmp_path, id2label={"2": "maybe", "10": "never", "0": "no"} | {str(i): str(i) for i in range(3, 10)}
    )
    write_config(tmp_path, remove=("label2id",))
    with pytest.raises(UnsupportedConfigError, match="id2label"):
        load_checkpoint(tmp_path)
    write_config(tmp_path, id2label={"2": "maybe", "0": "no", "1": "yes"})
    assert load_checkpoint(tmp_path).labels == ("no", "yes", "maybe")


@pytest.mark.parametrize("task", ["ctc", "classification"])
@pytest.mark.parametrize("architectures", [None, []])
def test_without_architectures_the_head_tells_the_task(
    all_saved: Path, tmp_path: Path, task: str, architectures: list[str] | None
) -> None:
    shutil.copytree(all_saved / task, tmp_path, dirs_exist_ok=True)
    write_config(tmp_path, architectures=architectures)
    assert load_checkpoint(tmp_path).task == task
    write_config(tmp_path, remove=("architectures",))
    assert load_checkpoint(tmp_path).task == task


def test_without_architectures_and_without_one_head_the_task_is_unknown(saved_base: Path) -> None:
    write_config(saved_base, remove=("architectures",))
    with pytest.raises(UnknownTaskError, match=r"neither of lm_head\.weight and classifier\.weight"):
        load_checkpoint(saved_base)
    write_weights(saved_base, {"lm_head.weight": torch.zeros(1), "classifier.weight": torch.zeros(1)})
    with pytest.raises(UnknownTaskError, match="both of"):
        load_checkpoint(saved_base)


@pytest.mark.parametrize("architectures", [["Wav2Vec2ForCTC"], ["SEWDForCTC", "SEWDModel"], "Other", [[]], 3])
def test_an_unknown_architecture_is_refused(saved: Path, architectures: Any) -> None:
    write_config(saved, architectures=architectures)
    with pytest.raises(UnknownTaskError, match="architectures is"):
        load_checkpoint(saved)


def test_a_config_without_a_head_it_names_is_an_error_and_never_random(saved: Path) -> None:
    write_config(saved, architectures=["SEWDForSequenceClassification"])
    with pytest.raises(WeightError) as raised:
        load_checkpoint(saved)
    assert {"classifier.weight", "classifier.bias", "projector.weight", "projector.bias"} == {
        *raised.value.missing
    }
    assert raised.value.unexpected == ("lm_head.bias", "lm_head.weight")


# Preprocessor.


def test_the_preprocessor_has_defaults(saved: Path) -> None:
    assert load_checkpoint(saved).preprocessor["do_normalize"] is True
    (saved / "preprocessor_config.json").write_text('{"do_normalize": false}')
    preprocessor = load_checkpoint(saved).preprocessor
    assert preprocessor["do_normalize"] is False
    assert preprocessor["sampling_rate"] == 16_000


def test_the_processor_of_transformers_5_comes_first(saved: Path) -> None:
    (saved / "preprocessor_config.json").write_text('{"sampling_rate": 8000}')
    (saved / "processor_config.json").write_text('{"processor_class": "Wav2Vec2Processor"}')
    assert load_checkpoint(saved).sample_rate_hz == 8000
    (saved / "processor_config.json").write_text('{"feature_extractor": {"sampling_rate": 22050}}')
    assert load_checkpoint(saved).sample_rate_hz == 22050


@pytest.mark.parametrize(
    "content",
    [
        {"feature_extractor_type": "SeamlessM4TFeatureExtractor"},
        {"feature_size": 80},
        {"sampling_rate": 0},
        {"sampling_rate": True},
        {"do_normalize": "yes"},
    ],
    ids=str,
)
def test_a_preprocessor_that_is_not_ours_is_refused_by_name(saved: Path, content: dict[str, Any]) -> None:
    (saved / "preprocessor_config.json").write_text(json.dumps(content))
    with pytest.raises(UnsupportedConfigError, match=next(iter(content))):
        load_checkpoint(saved)


# Where it lies.

HUB_ID = "asapp/sew-d-tiny-100k-ft-ls100h"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache that holds the checkpoint, and no network."""
    repository = tmp_path / "hub" / f"models--{HUB_ID.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    snapshot = shutil.copytree(saved, repository / "snapshots" / COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return snapshot


def test_a_hub_id_is_read_from_the_cache_without_network(cache: Path) -> None:
    checkpoint = load_checkpoint(HUB_ID)
    assert (checkpoint.name, checkpoint.origin) == ("sew-d-tiny-100k-ft-ls100h", HUB_ID)
    assert checkpoint.folder == cache
    assert load_checkpoint(f"{HUB_ID}@{COMMIT}").sha256 == checkpoint.sha256


def test_a_hub_id_may_hold_pickles_only(cache: Path) -> None:
    to_pickle(cache)
    assert torch.equal(output(reference_model(load_checkpoint(HUB_ID))), output(original()))


def test_safetensors_are_asked_for_before_pickles(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def snapshot_download(repo_id: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append(allow_patterns)
        return str(cache)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    load_checkpoint(HUB_ID)
    [patterns] = asked
    assert "model*.safetensors" in patterns
    assert not any("bin" in pattern for pattern in patterns)
    to_pickle(cache)
    load_checkpoint(HUB_ID)
    assert "pytorch_model*.bin" in asked[-1]


@pytest.mark.parametrize("source", ["asapp/absent", f"{HUB_ID}@v9"])
def test_what_the_cache_lacks_is_named(cache: Path, source: str) -> None:
    with pytest.raises(
        CheckpointNotFoundError, match=f"{source}: no such folder, and on the Hub: HF_HUB_OFF"
    ):
        load_checkpoint(source)


def test_a_folder_wins_over_a_hub_id(cache: Path, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = shutil.copytree(saved, saved.parent / "here" / HUB_ID)
    monkeypatch.chdir(saved.parent / "here")
    assert load_checkpoint(HUB_ID).folder == local.resolve()


@pytest.mark.parametrize(
    "source", ["no-such-thing", "./a/b", "a/b/c", "../x", "owner/na me", Path("/no/such")]
)
def test_what_is_neither_folder_nor_hub_id_is_named(source: str | Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match="no such folder, and a hub id has the form owner/name"):
        load_checkpoint(source)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "the name is empty; give a folder or a hub id"),
        ("https://huggingface.co/owner/name", "an address; give the hub id, owner/name, or a folder"),
        ("bundle", "bundle: a bundle, exported already; --verify and --bundle take it"),
        ("trainer_out", "name one of them: checkpoint-500, checkpoint-1000$"),
    ],
)
def test_what_was_given_instead_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/bundle.json").touch()
    (tmp_path / "bundle/config.json").touch()  # a bundle has one too
    for step in (500, 1000):
        (tmp_path / f"trainer_out/checkpoint-{step}").mkdir(parents=True)
    with pytest.raises(CheckpointNotFoundError, match=words):
        load_checkpoint(source)


def test_a_file_is_not_a_checkpoint(saved: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match="is a file; name the folder"):
        load_checkpoint(saved / "model.safetensors")


@pytest.mark.parametrize("name", [None, "digits", "keywords"])
def test_the_embedded_model_has_a_name(
    saved: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    expected = name or "digits"
    monkeypatch.setattr(sources, "_MODELS", saved.parent)
    saved.rename(saved.with_name(expected))
    checkpoint = load_checkpoint(name)
    assert (checkpoint.name, checkpoint.origin) == (expected, expected)
    monkeypatch.setattr(sources, "_MODELS", saved / "absent")
    with pytest.raises(CheckpointNotFoundError, match=f"no embedded model '{expected}'"):
        load_checkpoint(name)


def test_a_checkpoint_is_frozen(saved: Path) -> None:
    checkpoint = load_checkpoint(saved)
    assert isinstance(checkpoint, Checkpoint)
    with pytest.raises(AttributeError):
        checkpoint.name = "other"  # type: ignore[misc]
