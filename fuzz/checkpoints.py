"""Checkpoints: configuration, vocabulary, tokenizer and weights mutated, in safetensors and in pickles."""

from __future__ import annotations

import io
import json
import pickle
import struct
from pathlib import Path
from random import Random
from typing import Any

import safetensors.torch
import torch

from fuzz.mutants import Mutant, mutate_bytes, seed_files, special_file
from fuzz.mutate_json import mutate_json
from sewd_export.checkpoint.loading import load_checkpoint

_WEIGHTS = "model.safetensors"
_TOKENIZER = {
    "tokenizer_class": "Wav2Vec2CTCTokenizer",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "word_delimiter_token": "|",
    "do_lower_case": False,
    "added_tokens_decoder": {"0": {"content": "<pad>", "special": True}},
    "replace_word_delimiter_char": " ",
}
_SHARD = "model-00001-of-00001.safetensors"
_INDEX_NAME, _PICKLE = "model.safetensors.index.json", "pytorch_model.bin"
_INDEX = {"metadata": {"total_size": 1}, "weight_map": {"lm_head.bias": _SHARD, "lm_head.weight": _SHARD}}

torch.set_num_threads(1)


def make(random: Random) -> Mutant:
    """Mutate a file of a checkpoint, or add one."""
    seed = random.choice(("checkpoint-tiny", "checkpoint-tiny", "checkpoint-tiny-classifier"))
    files = seed_files(seed)
    if random.random() < 0.05:
        return special_file(random, (_WEIGHTS, "config.json", "vocab.json", "preprocessor_config.json"), seed)
    names = ("config.json", "config.json", "config.json", "vocab.json", "preprocessor_config.json")
    name = random.choice((*names, "tokenizer_config.json", _INDEX_NAME, _WEIGHTS, _WEIGHTS, _PICKLE))
    others = {}
    if name == _PICKLE:
        content, note = _mutate_pickle(random, files[_WEIGHTS])
        others = {_WEIGHTS: b""}
    elif name == _WEIGHTS:
        content, note = _mutate_safetensors(random, files[name])
    else:
        extra = {"tokenizer_config.json": _TOKENIZER, _INDEX_NAME: _INDEX}
        content, note = mutate_json(random, extra.get(name) or json.loads(files[name]))
        if name == _INDEX_NAME:
            others = {_WEIGHTS: b"", _SHARD: files[_WEIGHTS]}
    return Mutant(files={**others, name: content}, note=f"{name}: {note}", seed=seed)


def attempt(folder: Path) -> None:
    """Load the checkpoint; an empty file of weights beside others stands for none."""
    weights = folder / _WEIGHTS
    others = any((folder / name).exists() for name in (_INDEX_NAME, _PICKLE))
    if others and weights.is_file() and weights.stat().st_size == 0:
        weights.unlink()
    load_checkpoint(folder)


def _mutate_safetensors(random: Random, content: bytes) -> tuple[bytes, str]:
    if random.random() < 0.4:
        return mutate_bytes(random, content, header=3_000)
    size = struct.unpack("<Q", content[:8])[0]
    header, note = mutate_json(random, json.loads(content[8 : 8 + size]))
    return struct.pack("<Q", len(header)) + header + content[8 + size :], f"header: {note}"


def _mutate_pickle(random: Random, safe: bytes) -> tuple[bytes, str]:
    weights: dict[Any, Any] = dict(safetensors.torch.load(safe))
    name = random.choice(list(weights))
    odd: tuple[Any, ...] = (
        *(
            None,
            5,
            "text",
            [],
            {},
            torch.zeros(0),
            torch.zeros(1).expand(10**10),
            torch.zeros(3, 3).to_sparse(),
        ),
        *(
            torch.zeros(3, dtype=torch.int64),
            torch.zeros(3, dtype=torch.complex64),
            torch.zeros(3, device="meta"),
        ),
        *(
            torch.full_like(weights[name], float("nan")),
            torch.quantize_per_tensor(torch.zeros(3), 1.0, 0, torch.qint8),
        ),
    )
    change = random.choice(("bytes", "bytes", "value", "value", "extra", "key", "whole", "plain", "old"))
    if change == "value":
        weights[name] = random.choice(odd)
    elif change == "extra":
        weights[random.choice(("x", "module.x", "state_dict"))] = random.choice(odd)
    elif change == "key":
        weights[random.choice((5, None, (1, 2), b"x", "\0", "\x1b[31m", "a" * 10_000))] = weights.pop(name)
    elif change == "whole":
        wholes: tuple[Any, ...] = (*odd, {"state_dict": weights}, {"model": weights}, list(weights.items()))
        weights = random.choice(wholes)
    if change == "plain":
        return pickle.dumps(random.choice((print, {"x": print}, {}, [1], range(5)))), change
    content = io.BytesIO()
    torch.save(weights, content, _use_new_zipfile_serialization=change != "old")
    return mutate_bytes(random, content.getvalue()) if change == "bytes" else (content.getvalue(), change)
