"""Whisper base in int8 as transformers.js opens it: `python -m benchmarks.whisper_onnx MODEL FOLDER`.

MODEL is what `benchmarks.whisper` writes, in CTranslate2's format: transformers' weights under other names,
with the projections of queries, keys and values in one matrix. What follows is the path of transformers.js's
own converter: optimum's export and onnxruntime's dynamic quantization. It runs in .venv-optimum.
"""

from __future__ import annotations

import json
import shutil
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from optimum.exporters.onnx import main_export
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizerFast,
)

Arrays = dict[str, NDArray[np.float32]]

HEADS, LAYERS = 8, 6
_FLOAT16 = 4
_LAYER = {
    "self_attention/layer_norm": ["self_attn_layer_norm"],
    "self_attention/linear_0": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    "self_attention/linear_1": ["self_attn.out_proj"],
    "attention/layer_norm": ["encoder_attn_layer_norm"],
    "attention/linear_0": ["encoder_attn.q_proj"],
    "attention/linear_1": ["encoder_attn.k_proj", "encoder_attn.v_proj"],
    "attention/linear_2": ["encoder_attn.out_proj"],
    "ffn/layer_norm": ["final_layer_norm"],
    "ffn/linear_0": ["fc1"],
    "ffn/linear_1": ["fc2"],
}
"""Parts of a layer: CTranslate2's name, and those of transformers whose rows are joined in it."""


def read_arrays(file: BinaryIO) -> Arrays:
    """Read the arrays of float16 of a model of CTranslate2's format 6; its options are left out."""

    def take(form: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))

    def name() -> str:
        return file.read(*take("H")).rstrip(b"\0").decode()

    if take("I") != (6,) or name() != "WhisperSpec":
        raise ValueError("not a Whisper model of CTranslate2's format 6")
    _, count = take("II")
    arrays = {}
    for _ in range(count):
        key, [rank] = name(), take("B")
        shape, (kind, size) = take("I" * rank), take("BI")
        content = file.read(size)
        if kind == _FLOAT16:
            arrays[key] = np.frombuffer(content, np.float16).reshape(shape).astype(np.float32)
    return arrays


def rename(arrays: Arrays) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield each array under its name in transformers, joined projections apart."""
    ends = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias", "encodings": "weight"}
    names = {**_LAYER, "embeddings": ["embed_tokens"], "position_encodings": ["embed_positions"]}
    for key, array in arrays.items():
        side, *path, end = key.split("/")
        is_in_layer = len(path) > 1 and path[0].startswith("layer_")
        layer = f"layers.{path.pop(0).removeprefix('layer_')}." if is_in_layer else ""
        parts = names.get("/".join(path), path)
        for part, rows in zip(parts, np.split(array, len(parts)), strict=True):
            name = f"model.{side}.{layer}{part}.{ends[end]}"
            if not name.endswith("k_proj.bias"):  # transformers has none; CTranslate2 has zeros
                yield name, rows


def write_checkpoint(source: Path, folder: Path) -> None:
    """Write a checkpoint that transformers opens: weights, tokenizer and how to generate."""
    with (source / "model.bin").open("rb") as file:
        weights = {name: torch.from_numpy(array.copy()) for name, array in rename(read_arrays(file))}
    tokenizer = WhisperTokenizerFast(tokenizer_file=str(source / "tokenizer.json"))
    number = tokenizer.convert_tokens_to_ids
    start, end = number("<|startoftranscript|>"), number("<|endoftext|>")
    vocab, width = weights["model.decoder.embed_tokens.weight"].shape
    sides = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in (("layers", LAYERS), ("attention_heads", HEADS), ("ffn_dim", 4 * width))
    }
    tokens = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start}
    model = WhisperForConditionalGeneration(WhisperConfig(vocab_size=vocab, d_model=width, **sides, **tokens))
    model.load_state_dict(weights | {"proj_out.weight": weights["model.decoder.embed_tokens.weight"]})
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    model.generation_config = GenerationConfig(
        **tokens,
        max_length=model.config.max_target_positions,
        is_multilingual=True,
        no_timestamps_token_id=number("<|notimestamps|>"),
        lang_to_id={tokenizer.convert_ids_to_tokens(each): each for each in config["lang_ids"]},
        task_to_id={task: number(f"<|{task}|>") for task in ("transcribe", "translate")},
        suppress_tokens=config["suppress_ids"],
        begin_suppress_tokens=config["suppress_ids_begin"],
    )
    for part in (model, tokenizer, WhisperFeatureExtractor()):
        part.save_pretrained(folder)


def main() -> None:
    """Write the files that transformers.js asks for when its dtype is q8."""
    source, folder = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint, exported = Path(temporary) / "checkpoint", Path(temporary) / "exported"
        write_checkpoint(source, checkpoint)
        main_export(
            str(checkpoint),
            exported,
            task="automatic-speech-recognition-with-past",
            library_name="transformers",
            do_validation=False,
        )
        (folder / "onnx").mkdir(parents=True, exist_ok=True)
        for path in exported.glob("*.json"):
            shutil.copy(path, folder)
        for name in ("encoder_model", "decoder_model_merged"):
            quantize_dynamic(
                exported / f"{name}.onnx",
                folder / f"onnx/{name}_quantized.onnx",
                weight_type=QuantType.QInt8,
                op_types_to_quantize=["MatMul", "Gather"],  # convolutions of integers are slower
                extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True},
            )


if __name__ == "__main__":
    main()
