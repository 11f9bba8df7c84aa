"""What was said: lists of recordings with their transcripts, and files of hypotheses."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from sewd_runtime.audio.folders import find_recordings
from sewd_runtime.errors import TextError
from sewd_runtime.text.files import is_file_name, read_text_file

_NAME = "transcripts.tsv"
_ID_KEYS = ("audio", "path", "file", "audio_filepath", "id")
"""Keys of a JSON line for the recording: those of data sets, of ``sewd transcribe --json``, of NeMo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """A recording and what is said in it. name: as the list has it."""

    name: str
    path: Path
    text: str


def read_manifest(path: Path) -> list[Utterance]:
    """Read a list of recordings: a TSV file (path, text), JSON lines, or a folder.

    Of a folder, those recordings are taken that a ``transcripts.tsv`` beside them lists. Paths in a file are
    relative to it. Raises TextError, and OSError for a file that cannot be read.
    """
    if path.is_dir():
        transcripts = read_transcripts(find_recordings(path))
        rows = {found.relative_to(path).as_posix(): text for found, text in transcripts.items()}
    else:
        rows = _read_rows(path)
    if not rows:
        fault = f"no recording has a transcript in a {_NAME} beside it" if path.is_dir() else "lists nothing"
        raise TextError(f"{path}: {fault}; write name, tab, words")
    for name in rows:
        if not is_file_name(name):
            raise TextError(f"{path}: {name[:60]!r} is not the name of a file; write name, tab, words")
    folder = path if path.is_dir() else path.parent
    return [Utterance(name=name, path=folder / name, text=text) for name, text in rows.items()]


def read_hypotheses(path: Path, utterances: Sequence[Utterance]) -> list[str]:
    """Return the text that a file, TSV or JSON lines, has for each utterance.

    It may name an utterance in full, or by the last part of its path, with any suffix or none. Raises
    TextError: the file is no such list, or lacks an utterance.
    """
    texts = _read_rows(path)
    by_stem: defaultdict[str, list[str]] = defaultdict(list)
    for name, text in texts.items():
        by_stem[PurePath(name).stem].append(text)
    found = []
    for utterance in utterances:
        same = by_stem[PurePath(utterance.name).stem]
        if utterance.name not in texts and len(same) != 1:
            fault = "several texts that may be that" if same else "no text"
            raise TextError(f"{path}: has {fault} of {utterance.name}; write its name, tab, text")
        found.append(texts[utterance.name] if utterance.name in texts else same[0])
    return found


def read_transcripts(recordings: Sequence[Path]) -> dict[Path, str]:
    """Return the transcripts of those recordings that ``transcripts.tsv`` in their folder lists.

    Each line has a recording's name, with or without suffix, a tab, and its words; a second tab and the rest
    are ignored. Raises TextError for any other line, and for a file that lists no recording of its folder.
    """
    transcripts: dict[Path, str] = {}
    for folder in sorted({path.parent for path in recordings}):
        listed = _read_tsv(folder / _NAME) if (folder / _NAME).is_file() else {}
        own = [path for path in recordings if path.parent == folder]
        known = {path: name for path in own for name in (path.stem, path.name) if name in listed}
        if listed and not known:
            raise TextError(f"{folder / _NAME}: lists none of the recordings beside it, e.g. {own[0].name}")
        transcripts |= {path: listed[name] for path, name in known.items()}
    return transcripts


def _read_rows(path: Path) -> dict[str, str]:
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return _read_json_lines(path)
    return _read_tsv(path)


def _read_tsv(path: Path) -> dict[str, str]:
    rows: dict[str, str] = {}
    for number, line in enumerate(read_text_file(path).splitlines(), 1):
        name, *rest = line.split("\t")
        if not rest or name in rows:
            fault = "is listed twice" if rest else "has no tab"
            raise TextError(f"{path}: line {number}: {name[:60]!r} {fault}; write name, tab, words")
        rows[name] = rest[0]
    return rows


def _read_json_lines(path: Path) -> dict[str, str]:
    rows: dict[str, str] = {}
    for number, line in enumerate(read_text_file(path).split("\n"), 1):
        if not line.strip():
            continue
        where, advice = f"{path}: line {number}", 'write {"audio": "a.wav", "text": "what is said"}'
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TextError(f"{where}: not JSON: {error}; {advice}") from error
        row = row if isinstance(row, dict) else {}
        name = next((row[key] for key in _ID_KEYS if isinstance(row.get(key), str)), None)
        if name is None or not isinstance(row.get("text"), str):
            raise TextError(f"{where}: {advice}")
        if name in rows:
            raise TextError(f"{where}: {name[:60]!r} is listed twice")
        rows[name] = row["text"]
    return rows
