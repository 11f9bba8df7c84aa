"""What ``bundle.json`` says: dataclasses whose fields are its keys (docs/bundle.md is normative)."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, TypeAlias, cast

from sewd_runtime.bundle.engines import EngineEntry, engine_file, engine_key
from sewd_runtime.bundle.schema import Rule, build, parse_json, to_plain
from sewd_runtime.errors import BundlePathError, FormatVersionError, ManifestKeyError, ManifestTypeError

FORMAT_VERSION = 2
ENGINES_VERSION = 3
"""Format 2 and the key `engines`; a bundle without engines stays format 2, which older readers know."""
MANIFEST_NAME = "bundle.json"
GOLDEN_NAME = "golden.npz"
VOCAB_NAME = "vocab.json"
LABELS_NAME = "labels.json"


def model_file(precision: str) -> str:
    """Return the name of a precision's model file in a bundle: `model.int8.onnx`."""
    return f"model.{precision}.onnx"


def is_bare_name(name: str) -> bool:
    """Tell whether a file name stays in its folder: no separator, no drive, not special, printable."""
    return name not in ("", ".", "..") and name.isprintable() and not any(letter in "/\\:" for letter in name)


_TASKS = ("ctc", "classification", "encoding")
_Positive: TypeAlias = Annotated[int, Rule(must="> 0", holds=lambda value: value > 0)]
_Count: TypeAlias = Annotated[int, Rule(must=">= 0", holds=lambda value: value >= 0)]
_Error: TypeAlias = Annotated[float, Rule(must=">= 0", holds=lambda value: value >= 0)]
_Bound: TypeAlias = Annotated[float, Rule(must="> 0", holds=lambda value: value > 0)]
_Share: TypeAlias = Annotated[float, Rule(must="in [0, 1]", holds=lambda value: 0 <= value <= 1)]
_FileName: TypeAlias = Annotated[
    str, Rule(must="a bare file name, without folder or drive", holds=is_bare_name, error=BundlePathError)
]
_Sha256: TypeAlias = Annotated[
    str,
    Rule(must="64 hexadecimal digits", holds=lambda value: re.fullmatch("[0-9a-f]{64}", value) is not None),
]
_TaskName: TypeAlias = Annotated[
    str, Rule(must=f"one of {', '.join(_TASKS)}", holds=lambda value: value in _TASKS)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far a precision may be from the original in float32.

    max_abs: for outputs of up to 10; beyond, in proportion to their largest magnitude. An output that the
    original itself does not determine so closely is held to what it does.
    """

    max_abs: _Bound
    relative: _Bound
    batch_error: _Bound

    def max_abs_at(self, peak: float, *, movement: float = 0.0) -> float:
        """Return the largest absolute error allowed in an output whose largest magnitude is ``peak``.

        movement: how far the original's output itself moves when its input is rounded otherwise.
        """
        return max(self.max_abs * max(1.0, peak / 10), 4 * movement)

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

    cases: _Positive
    max_abs: _Error
    relative: _Error
    batch_error: _Error
    label_agreement: _Share | None
    transcript_agreement: _Share | None
    words: _Count = 0
    wer: _Error | None = None
    original_wer: _Error | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionEntry:
    """One model of the bundle."""

    file: _FileName
    opset: _Positive
    domains: tuple[str, ...]
    tolerance: Tolerance
    parity: Parity


@dataclass(frozen=True, slots=True, kw_only=True)
class CtcEntry:
    """What turns token ids into text."""

    blank_id: _Count
    unknown_token: str | None
    word_delimiter: str | None
    do_lower_case: bool
    clean_up_spaces: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """Size and hash of one file."""

    size_bytes: _Count
    sha256: _Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where the weights came from and what exported them."""

    checkpoint: str
    checkpoint_sha256: str
    versions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The content of ``bundle.json``; field names are its keys.

    engines: TensorRT's, by name; a manifest has the key where it has some, and is then of format 3.
    """

    format_version: _Positive = FORMAT_VERSION
    name: str
    task: _TaskName
    family: str
    sample_rate_hz: _Positive
    receptive_field: _Positive
    stride: _Positive
    min_samples: _Positive
    num_outputs: _Positive
    ctc: CtcEntry | None
    precisions: dict[str, PrecisionEntry]
    files: dict[_FileName, FileEntry]
    provenance: Provenance
    engines: dict[str, EngineEntry] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str, *, where: str = MANIFEST_NAME) -> "Manifest":
        """Read a manifest strictly; every message begins with ``where`` and the key's path.

        Raises FormatVersionError before anything else is looked at, then ManifestKeyError, ManifestTypeError
        or BundlePathError.
        """
        content = parse_json(text, where=where)
        if _check_version(content, where) == FORMAT_VERSION:
            if "engines" in content:
                raise ManifestKeyError(f"{where}: engines is not a key of format {FORMAT_VERSION}")
            content = {**content, "engines": {}}
        manifest = cast(Manifest, build(cls, content, where=where))
        _check_consistency(manifest, where)
        return manifest

    def with_engines(self, engines: Iterable[EngineEntry]) -> "Manifest":
        """Return the manifest with these engines, of the format that has them; itself if there are none."""
        found = {engine.name: engine for engine in engines}
        return replace(self, format_version=ENGINES_VERSION, engines=found) if found else self

    def to_json(self) -> str:
        """Write the manifest: indented by two, keys in the order of the format, maps sorted, a final newline.

        Raises what ``from_json`` would raise, so that no manifest is written that cannot be read.
        """
        content = to_plain(self)
        if not self.engines:
            del content["engines"]
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=True) + "\n"
        self.from_json(text)
        return text


def _check_version(content: Any, where: str) -> int:
    if not isinstance(content, dict):
        raise ManifestTypeError(f"{where}: the top must be an object")
    if "format_version" not in content:
        raise ManifestKeyError(f"{where}: format_version is missing; is this a sewd bundle?")
    version = content["format_version"]
    if type(version) is not int:
        raise ManifestTypeError(f"{where}: format_version must be an integer")
    if version not in (FORMAT_VERSION, ENGINES_VERSION):
        raise FormatVersionError(
            f"{where}: format_version is {version}, this sewd reads {FORMAT_VERSION} and {ENGINES_VERSION}; "
            f"install a sewd that fits, or export the checkpoint again"
        )
    return version


def _check_consistency(manifest: Manifest, where: str) -> None:
    """Check what one key demands of another."""

    def demand(holds: bool, message: str) -> None:
        if not holds:
            raise ManifestTypeError(f"{where}: {message}")

    ctc, task = manifest.ctc, manifest.task
    demand(manifest.min_samples >= manifest.receptive_field, "min_samples must be at least receptive_field")
    demand(
        (ctc is None) == (task != "ctc"),
        f"ctc must be {'an object' if ctc is None else 'null'} for task {task}",
    )
    demand(ctc is None or ctc.blank_id < manifest.num_outputs, "ctc.blank_id must be below num_outputs")
    demand(bool(manifest.precisions), "precisions must have at least one entry")
    wanted = {GOLDEN_NAME, *{"ctc": {VOCAB_NAME}, "classification": {LABELS_NAME}}.get(task, set())}
    for name, entry in manifest.precisions.items():
        path = f"precisions.{name}"
        demand(entry.file == model_file(name), f"{path}.file must be {model_file(name)}")
        for key, has in (("label_agreement", task != "encoding"), ("transcript_agreement", task == "ctc")):
            given = getattr(entry.parity, key) is not None
            demand(
                given == has, f"{path}.parity.{key} must be {'a number' if has else 'null'} for task {task}"
            )
        _check_wer(entry.parity, f"{path}.parity", task, demand)
        wanted.add(entry.file)
    _check_engines(manifest, demand)
    wanted |= {entry.file for entry in manifest.engines.values()}
    for name in sorted(wanted):
        if name not in manifest.files:
            raise ManifestKeyError(f"{where}: files.{name} is missing")
    demand(MANIFEST_NAME not in manifest.files, f"files.{MANIFEST_NAME}: a manifest cannot hold its own hash")
    _check_engine_keys(manifest, demand)


def _check_wer(parity: Parity, path: str, task: str, demand: Callable[[bool, str], None]) -> None:
    demand(parity.words == 0 or task == "ctc", f"{path}.words must be 0 for task {task}")
    for key in ("wer", "original_wer"):
        given, has = getattr(parity, key) is not None, parity.words > 0
        demand(given == has, f"{path}.{key} must be {'a number' if has else 'null'} for {parity.words} words")


def _check_engines(manifest: Manifest, demand: Callable[[bool, str], None]) -> None:
    """Check that each engine is named by what it is."""
    demand(
        bool(manifest.engines) == (manifest.format_version == ENGINES_VERSION),
        f"engines must have entries in format {ENGINES_VERSION}, and only there",
    )
    for name, entry in manifest.engines.items():
        path = f"engines.{name}"
        demand(name == entry.name, f"{path} must be {entry.name}, as its fields say")
        demand(entry.file == engine_file(name), f"{path}.file must be {engine_file(name)}")
        demand(entry.precision in manifest.precisions, f"{path}.precision must be one of precisions")
        demand(bool(entry.profiles), f"{path}.profiles must have at least one entry")
        ordered = all(profile.is_ordered for profile in entry.profiles)
        demand(ordered, f"{path}.profiles must go from the smallest to the largest")


def _check_engine_keys(manifest: Manifest, demand: Callable[[bool, str], None]) -> None:
    """Check that each engine was built from the model in this bundle."""
    for name, entry in manifest.engines.items():
        model = manifest.files[manifest.precisions[entry.precision].file]
        key = engine_key(
            model.sha256,
            builder=entry.builder,
            version=entry.version,
            compute_capability=entry.compute_capability,
            profiles=entry.profiles,
        )
        demand(
            entry.key == key,
            f"engines.{name}.key is not that of {model_file(entry.precision)}; export it again",
        )
