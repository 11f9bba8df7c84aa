"""What a checkpoint's feature extractor does to the samples before the model sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sewd_export.checkpoint.json_files import read_json
from sewd_export.errors import UnsupportedConfigError

# Those of transformers' Wav2Vec2FeatureExtractor.
DEFAULTS: dict[str, Any] = {
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "feature_size": 1,
    "sampling_rate": 16_000,
    "padding_value": 0.0,
    "do_normalize": True,
    "return_attention_mask": False,
}


def read_preprocessor(folder: Path) -> dict[str, Any]:
    """Return the feature extractor's options, with the defaults for those that no file states.

    They stand in processor_config.json below `feature_extractor` (transformers 5) or in
    preprocessor_config.json.
    Raises UnsupportedConfigError for another feature extractor or a value that is not supported.
    """
    path = folder / "processor_config.json"
    stated = read_json(path).get("feature_extractor") if path.is_file() else None
    if stated is None:
        path = folder / "preprocessor_config.json"
        stated = read_json(path) if path.is_file() else {}
    if not isinstance(stated, dict):
        raise UnsupportedConfigError(f"{path}: feature_extractor is {stated!r}; an object is needed")
    options = {**DEFAULTS, **stated}
    rate = options["sampling_rate"]
    supported = {
        "feature_extractor_type": options["feature_extractor_type"] == DEFAULTS["feature_extractor_type"],
        "feature_size": options["feature_size"] == 1,
        "sampling_rate": isinstance(rate, int) and not isinstance(rate, bool) and rate > 0,
        "do_normalize": isinstance(options["do_normalize"], bool),
    }
    refused = [f"{field} is {options[field]!r}" for field, fits in supported.items() if not fits]
    if refused:
        raise UnsupportedConfigError(f"{path}: {', '.join(refused)}, which is not supported")
    return options
