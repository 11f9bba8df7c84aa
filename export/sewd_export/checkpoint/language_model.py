"""A language model that lies beside a checkpoint, as transformers' `Wav2Vec2ProcessorWithLM` saves it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sewd_export.checkpoint.config import read_json
from sewd_export.errors import CheckpointReadError

FOLDER = "language_model"
_SUFFIXES = (".arpa", ".bin")


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModel:
    """A KenLM file, and the weights that were tuned for it: as those of `sewd_runtime.BeamSearch`.

    pyctcdecode scores as we do, in natural logarithms, except unknown words: its `unk_score_offset` is added
    to the score of `<unk>`, while our `unknown_score` replaces it.
    """

    path: Path
    alpha: float | None = None
    beta: float | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """The options of `sewd transcribe` that decode with it."""
        weights = {"--alpha": self.alpha, "--beta": self.beta}
        given = [(name, f"{value:g}") for name, value in weights.items() if value is not None]
        return ("--lm", str(self.path), *(text for pair in given for text in pair))


def find_language_model(checkpoint: Path) -> LanguageModel | None:
    """Return the language model in a checkpoint's folder; raises CheckpointReadError for bad weights."""
    folder = checkpoint / FOLDER
    files = sorted(path for path in folder.glob("*") if path.suffix in _SUFFIXES and path.is_file())
    if not files:
        return None
    attributes = folder / "attrs.json"
    content = read_json(attributes) if attributes.is_file() else {}
    weights = {name: content.get(name) for name in ("alpha", "beta")}
    for name, value in weights.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise CheckpointReadError(f"{attributes}: {name} must be a number, got {value!r:.60}")
    return LanguageModel(path=files[0], **weights)
