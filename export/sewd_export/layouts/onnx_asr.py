"""onnx-asr's model family `wav2vec2-ctc` (src/onnx_asr/models/wav2vec2.py, docs/conversion.md there).

`model.onnx` or `model?<quantization>.onnx`: `input_values`, `input_lengths` → `logprobs`; `vocab.txt`: a
token and its id per line, `<blk>` the blank, `▁` a space; `config.json`: the family and the stride.
"""

from __future__ import annotations

import json

import onnx_ir as ir

from sewd_export.errors import ExportError
from sewd_export.layouts.interface import drop_lengths, give_log_probs
from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.bundle.manifest import VOCAB_NAME, Manifest


def adapt(model: ir.Model, manifest: Manifest) -> None:
    """Output log-probabilities; onnx-asr computes the frames of an item itself, one too many."""
    assert manifest.ctc is not None  # the task was checked
    give_log_probs(model, "logprobs", blank_id=manifest.ctc.blank_id)
    drop_lengths(model)


def write_files(bundle: Bundle) -> dict[str, str]:
    """Return the vocabulary and the configuration; raises ExportError for a token with a space."""
    manifest = bundle.manifest
    ctc = manifest.ctc
    assert ctc is not None  # the task was checked
    tokens: dict[int, str] = {id_: token for token, id_ in json.loads(bundle.read_text(VOCAB_NAME)).items()}
    lines = []
    for token_id in range(manifest.num_outputs):
        text = tokens.get(token_id, ctc.unknown_token or "<unk>")
        if token_id == ctc.blank_id:
            text = "<blk>"
        elif text == ctc.word_delimiter:
            text = "▁"  # onnx-asr reads it as a space
        elif ctc.do_lower_case:
            text = text.lower()
        if any(letter.isspace() for letter in text):
            raise ExportError(f"{bundle.path}: the token {text!r} has a space, which onnx-asr cannot read")
        lines.append(f"{text} {token_id}\n")
    config = {"model_type": "wav2vec2-ctc", "subsampling_factor": manifest.stride}
    return {"vocab.txt": "".join(lines), "config.json": json.dumps(config, indent=2) + "\n"}
