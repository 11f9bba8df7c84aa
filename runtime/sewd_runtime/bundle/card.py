"""The model card of a bundle on the Hugging Face Hub: README.md, metadata and what was measured at export."""

import hashlib
import re
from typing import Any

from sewd_runtime import __version__
from sewd_runtime.bundle.hub import Repository
from sewd_runtime.bundle.manifest import TASKS, Manifest, PrecisionEntry

CARD_NAME = "README.md"

_PIPELINES = {
    "ctc": ("automatic-speech-recognition", "speech recognition"),
    "classification": ("audio-classification", "audio classification"),
    "encoding": ("feature-extraction", "speech encoder"),
}
"""Task → the Hub's name of it, and words for it."""

_MARK = "\n<!-- Written by sewd push, which replaces this card until it is edited: {} -->\n"


def write_card(manifest: Manifest, hub_id: str, base: Any = None) -> str:
    """Return the card of a bundle.

    base: metadata of its checkpoint's card, with ``license`` and ``language``, if that is on the Hub.
    """
    text = f"---\n{_metadata(manifest, base)}\n---\n\n{_body(manifest, hub_id)}"
    return text + _MARK.format(hashlib.sha256(text.encode()).hexdigest())


def is_unedited(card: str) -> bool:
    """Return whether a card is as ``write_card`` returned it."""
    text, _, _ = card.rpartition(_MARK.partition("{}")[0])
    return card == text + _MARK.format(hashlib.sha256(text.encode()).hexdigest())


def _metadata(manifest: Manifest, base: Any) -> str:
    from huggingface_hub import EvalResult, ModelCardData  # slow to import

    task, _ = _PIPELINES[manifest.task]
    origin = Repository.from_text(manifest.provenance.checkpoint)
    results = [
        EvalResult(
            task_type=task,
            dataset_type="recordings",
            dataset_name=f"recordings given at export, {entry.parity.words} words",
            metric_type="wer",
            metric_name=f"WER of {name}, %",
            metric_value=round(100 * entry.parity.wer, 2),
        )
        for name, entry in manifest.precisions.items()
        if entry.parity.wer is not None
    ]
    data = ModelCardData(
        language=getattr(base, "language", None),
        license=getattr(base, "license", None),
        library_name="sewd",
        pipeline_tag=task,
        tags=["sewd", "onnx", manifest.family],
        base_model=origin.hub_id if origin else None,
        metrics=["wer"] if results else None,
        model_name=manifest.name if results else None,
        eval_results=results or None,
    )
    return str(data.to_yaml())


def _body(manifest: Manifest, hub_id: str) -> str:
    _, kind = _PIPELINES[manifest.task]
    provenance = manifest.provenance
    versions = ", ".join(f"{name} {version}" for name, version in provenance.versions.items())
    lm = manifest.language_model
    extras = "cpu,hub,lm" if lm and lm.default else "cpu,hub"
    language_model = f"- Language model: `{lm.file}`, {lm.describe()}.\n" if lm else ""
    rows = "\n".join(_row(manifest, name, entry) for name, entry in manifest.precisions.items())
    return f"""# {manifest.name}

A {manifest.family} model for {kind}, exported from `{_plain(provenance.checkpoint)}` to ONNX.
It runs with numpy and onnxruntime, without torch. Each precision was compared with the original at export.

```sh
pip install 'sewd[{extras}]'
sewd {TASKS[manifest.task].command} --model {hub_id} recording.wav
```

| precision | MB | largest error | relative error | labels equal | texts equal | WER | WER of the original |
|---|---|---|---|---|---|---|---|
{rows}

Errors are those of the output, against the original in float32, one utterance at a time. Word error rates
(WER) are those of the recordings with transcripts that were given at export, if any were.

- Input: mono at {manifest.sample_rate_hz} Hz; other rates are resampled.
{language_model}- Checkpoint: `{_plain(provenance.checkpoint)}`, sha256 `{provenance.checkpoint_sha256}`.
- Made with: {versions}; pushed by sewd {__version__}.
"""


def _row(manifest: Manifest, name: str, entry: PrecisionEntry) -> str:
    parity = entry.parity
    shares = (parity.label_agreement, parity.transcript_agreement, parity.wer, parity.original_wer)
    cells = (
        name,
        f"{manifest.files[entry.file].size_bytes / 1e6:.1f}",
        f"{parity.max_abs:.1e}",
        f"{parity.relative:.1e}",
        *("-" if share is None else f"{share:.2%}" for share in shares),
    )
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Return a name without what would end its place in the text."""
    return re.sub(r"[`|<>]", "", text)
