"""The manifest, ``bundle.json``: dataclasses whose fields are its keys (docs/bundle.md is normative)."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, TypeAlias, cast

from sewd_runtime.bundle.engines import EngineEntry, check_engines
from sewd_runtime.bundle.language_model import LanguageModelEntry, check_language_model
from sewd_runtime.bundle.schema import (
    Amount,
    Count,
    Positive,
    Rule,
    Share,
    at_most,
    build,
    one_of,
    parse_json,
    to_plain,
)
from sewd_runtime.bundle.versions import FORMAT_VERSION, upgrade
from sewd_runtime.errors import BundlePathError, ManifestKeyError, ManifestTypeError

MANIFEST_NAME = "bundle.json"
GOLDEN_NAME = "golden.npz"
VOCAB_NAME = "vocab.json"
LABELS_NAME = "labels.json"

MAX_OUTPUTS = 1_000_000
"""The largest vocabulary, number of classes or hidden size."""


def model_file(precision: str) -> str:
    """Return the name of a precision's model file in a bundle: `model.int8.onnx`."""
    return f"model.{precision}.onnx"


_RANK_OF_FRAMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the bundles of one task hold.

    output: the graph's output, rank: its number of axes. file: the names of the labels; None: it has none.
    command: of `sewd`, which runs them.
    """

    output: str
    rank: int
    command: str
    file: str | None = None
    has_text: bool = False

    @property
    def has_frames(self) -> bool:
        """Whether the output is ``(batch, frames, ...)``, not ``(batch, ...)``."""
        return self.rank == _RANK_OF_FRAMES


TASKS: Mapping[str, Task] = {
    "ctc": Task(output="logits", rank=3, command="transcribe", file=VOCAB_NAME, has_text=True),
    "classification": Task(output="class_logits", rank=2, command="classify", file=LABELS_NAME),
    "encoding": Task(output="hidden_states", rank=3, command="encode"),
}


def _is_bare_name(name: str) -> bool:
    """Return whether a file name stays in its folder and prints on one line."""
    return name not in ("", ".", "..") and name.isprintable() and not any(letter in "/\\:" for letter in name)


_RateHz: TypeAlias = Annotated[Positive, at_most(192_000)]
_Samples: TypeAlias = Annotated[Positive, at_most(1_000_000)]
_Outputs: TypeAlias = Annotated[Positive, at_most(MAX_OUTPUTS)]
_Bound: TypeAlias = Annotated[float, Rule(must="> 0", holds=lambda value: value > 0)]
_FileName: TypeAlias = Annotated[
    str, Rule(must="a bare file name, without folder or drive", holds=_is_bare_name, error=BundlePathError)
]
_Sha256: TypeAlias = Annotated[
    str,
    Rule(must="64 hexadecimal digits", holds=lambda value: re.fullmatch("[0-9a-f]{64}", value) is not None),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far a precision may be from the original in float32.

    max_abs: for outputs of up to 10; beyond that, in proportion to their largest magnitude.
    """

    max_abs: _Bound
    relative: _Bound
    batch_error: _Bound

    def max_abs_at(self, peak: float) -> float:
        """Return the largest absolute error allowed in an output whose largest magnitude is ``peak``."""
        return self.max_abs * max(1.0, peak / 10)

    def __add__(self, other: "Tolerance") -> "Tolerance":
        """Return the tolerance for two errors at once."""
        return Tolerance(
            max_abs=self.max_abs + other.max_abs,
            relative=self.relative + other.relative,
            batch_error=self.batch_error + other.batch_error,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far a precision was from the original when it was exported."""

    cases: Positive
    max_abs: Amount
    relative: Amount
    batch_error: Amount
    label_agreement: Share | None
    transcript_agreement: Share | None
    words: Count = 0
    wer: Amount | None = None
    original_wer: Amount | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionEntry:
    """One model of the bundle.

    calibrated: whether its constant ranges were measured on recordings; None if it has none, or if that was
        not recorded.
    """

    file: _FileName
    opset: Positive
    domains: tuple[str, ...]
    calibrated: bool | None = None
    tolerance: Tolerance
    parity: Parity


@dataclass(frozen=True, slots=True, kw_only=True)
class CtcEntry:
    """How token ids become text."""

    blank_id: Count
    unknown_token: str | None
    word_delimiter: str | None
    do_lower_case: bool
    clean_up_spaces: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """Size and hash of one file."""

    size_bytes: Count
    sha256: _Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The checkpoint and the versions that made the bundle."""

    checkpoint: str
    checkpoint_sha256: str
    versions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The content of ``bundle.json``; field names are its keys.

    failed: precisions that were asked for and are not in the bundle → why. engines: TensorRT's, by name.
    language_model: None: the bundle has none, and its file no such key.
    """

    format_version: Positive = FORMAT_VERSION
    name: str
    task: Annotated[str, one_of(TASKS)]
    family: str
    sample_rate_hz: _RateHz
    receptive_field: _Samples
    stride: _Samples
    min_samples: _Samples
    num_outputs: _Outputs
    ctc: CtcEntry | None
    precisions: dict[str, PrecisionEntry]
    failed: dict[str, str] = field(default_factory=dict)
    files: dict[_FileName, FileEntry]
    provenance: Provenance
    engines: dict[str, EngineEntry] = field(default_factory=dict)
    language_model: LanguageModelEntry | None = None

    @classmethod
    def from_json(cls, text: str, *, where: str = MANIFEST_NAME) -> "Manifest":
        """Read a manifest strictly.

        Raises FormatVersionError before it looks at anything else, then ManifestKeyError, ManifestTypeError
        or BundlePathError; every message begins with ``where`` and the key's path.
        """
        content = upgrade(parse_json(text, where=where), where)
        manifest = cast(Manifest, build(cls, content, where=where))
        _check_consistency(manifest, where)
        return manifest

    def to_json(self) -> str:
        """Return the file's text: indented by two, keys in the format's order, maps sorted, final newline.

        Raises what ``from_json`` would raise, so that no unreadable manifest is written.
        """
        content = to_plain(self)
        if self.language_model is None:
            del content["language_model"]
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=True) + "\n"
        self.from_json(text)
        return text


def _check_consistency(manifest: Manifest, where: str) -> None:
    """Check what one key requires of another."""

    def demand(holds: bool, message: str) -> None:
        if not holds:
            raise ManifestTypeError(f"{where}: {message}")

    ctc, task, row = manifest.ctc, manifest.task, TASKS[manifest.task]
    demand(manifest.min_samples >= manifest.receptive_field, "min_samples must be at least receptive_field")
    demand(
        (ctc is not None) == row.has_text,
        f"ctc must be {'an object' if row.has_text else 'null'} for task {task}",
    )
    demand(ctc is None or ctc.blank_id < manifest.num_outputs, "ctc.blank_id must be below num_outputs")
    demand(bool(manifest.precisions), "precisions must have at least one entry")
    files = {GOLDEN_NAME} | ({row.file} if row.file else set())
    for name, entry in manifest.precisions.items():
        path = f"precisions.{name}"
        demand(entry.file == model_file(name), f"{path}.file must be {model_file(name)}")
        _check_parity(entry.parity, f"{path}.parity", task, demand)
        files.add(entry.file)
    for name in manifest.failed:
        demand(name not in manifest.precisions, f"failed.{name} must not be one of precisions")
    check_engines(manifest, demand)
    check_language_model(manifest, demand)
    files |= {entry.file for entry in manifest.engines.values()}
    files |= {manifest.language_model.file} if manifest.language_model else set()
    for name in sorted(files):
        if name not in manifest.files:
            raise ManifestKeyError(f"{where}: files.{name} is missing")
    demand(MANIFEST_NAME not in manifest.files, f"files.{MANIFEST_NAME}: a manifest cannot hold its own hash")


def _check_parity(parity: Parity, path: str, task: str, demand: Callable[[bool, str], None]) -> None:
    """Check that exactly those measures have a number which the task and its transcripts allow."""
    row, words = TASKS[task], parity.words
    demand(words == 0 or row.has_text, f"{path}.words must be 0 for task {task}")
    for key, has_number, why in (
        ("label_agreement", row.file is not None, f"task {task}"),
        ("transcript_agreement", row.has_text, f"task {task}"),
        ("wer", words > 0, f"{words} words"),
        ("original_wer", words > 0, f"{words} words"),
    ):
        is_number = getattr(parity, key) is not None
        demand(
            is_number == has_number,
            f"{path}.{key} must be {'a number' if has_number else 'null'} for {why}",
        )
