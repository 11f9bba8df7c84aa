"""Optimum's `ORTModelForCTC`, with the files of transformers' processor.

`model.onnx`, or another file by `file_name`: `input_values` → `logits`; the checkpoint's `config.json`; the
files of `AutoProcessor`. ORTModelForCTC does not use the attention mask, so all items of a batch must be of
equal length.
"""

from __future__ import annotations

import json

import onnx_ir as ir

from sewd_export.layouts.interface import derive_lengths, drop_lengths
from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.bundle.manifest import VOCAB_NAME, Manifest


def adapt(model: ir.Model, manifest: Manifest) -> None:
    """Keep only the samples and the logits."""
    derive_lengths(model)
    drop_lengths(model)


def write_files(bundle: Bundle) -> dict[str, str]:
    """Return the configurations; the graph normalises the samples, so the processor does not."""
    manifest = bundle.manifest
    ctc = manifest.ctc
    assert ctc is not None  # the task was checked
    vocabulary = bundle.read_text(VOCAB_NAME)
    [blank] = [token for token, token_id in json.loads(vocabulary).items() if token_id == ctc.blank_id]
    tokenizer = {
        "tokenizer_class": "Wav2Vec2CTCTokenizer",
        "pad_token": blank,
        "unk_token": ctc.unknown_token,
        "bos_token": None,
        "eos_token": None,
        "word_delimiter_token": ctc.word_delimiter,
        "do_lower_case": ctc.do_lower_case,
        "clean_up_tokenization_spaces": ctc.clean_up_spaces,
    }
    features = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "processor_class": "Wav2Vec2Processor",
        "feature_size": 1,
        "sampling_rate": manifest.sample_rate_hz,
        "padding_value": 0.0,
        "do_normalize": False,
        "return_attention_mask": False,
    }
    return {
        "config.json": bundle.read_text("config.json"),
        VOCAB_NAME: vocabulary,
        "tokenizer_config.json": json.dumps(tokenizer, indent=2) + "\n",
        "preprocessor_config.json": json.dumps(features, indent=2) + "\n",
    }
