"""A language model that lies beside a checkpoint, as transformers' `Wav2Vec2ProcessorWithLM` saves it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sewd_export.checkpoint.config import read_json
from sewd_export.errors import CheckpointReadError
from sewd_runtime.decode.lm.model import is_binary

FOLDER = "language_model"
_ARPA = (".arpa", ".arpa.gz", ".arpa.bz2", ".arpa.xz")
_SUFFIXES = (*_ARPA, ".bin")
_WEIGHTS = ("alpha", "beta", "unk_score_offset")


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModel:
    """A KenLM file, and the weights that were tuned for it; None: not recorded.

    alpha, beta: as those of `sewd_runtime.BeamSearch`. unk_score_offset: pyctcdecode adds it to the score of
        `<unk>`, both in logarithms to base 10, while our `unknown_score` replaces it.
    """

    path: Path
    alpha: float | None = None
    beta: float | None = None
    unk_score_offset: float | None = None

    @property
    def file(self) -> str:
        """Its name in a bundle."""
        if is_binary(self.path):
            return "lm.bin"
        return next((f"lm{suffix}" for suffix in _ARPA if self.path.name.endswith(suffix)), "lm.arpa")


def find_language_model(checkpoint: Path) -> LanguageModel | None:
    """Return the language model in a checkpoint's folder; raises CheckpointReadError for bad weights."""
    folder = checkpoint / FOLDER
    files = sorted(path for path in folder.glob("*") if path.name.endswith(_SUFFIXES) and path.is_file())
    if not files:
        return None
    attributes = folder / "attrs.json"
    content = read_json(attributes) if attributes.is_file() else {}
    weights = {name: content.get(name) for name in _WEIGHTS}
    for name, value in weights.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise CheckpointReadError(f"{attributes}: {name} must be a number, got {value!r:.60}")
    return LanguageModel(path=files[0], **weights)
