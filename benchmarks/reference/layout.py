"""What the models trained here share with the published ones: 32 letters and frames of 20 ms."""

from __future__ import annotations

LETTERS = ("<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")
RECEPTIVE_FIELD = 400
STRIDE = 320
PREPROCESSOR = {
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "feature_size": 1,
    "sampling_rate": 16_000,
    "padding_side": "right",
    "padding_value": 0.0,
    "do_normalize": True,
    "return_attention_mask": False,
}
"""The content of preprocessor_config.json."""


def count_frames(num_samples: int) -> int:
    """Return the number of frames for ``num_samples``: stride 320, receptive field 400."""
    return max(0, (num_samples - RECEPTIVE_FIELD) // STRIDE + 1)


def spell(words: list[str]) -> list[int]:
    """Return the token ids of the words with ``|`` between them."""
    return [LETTERS.index(letter) for letter in "|".join(words)]
