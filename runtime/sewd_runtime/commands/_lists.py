"""``--files-from``: lists of recordings; and the list of those that failed."""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sewd_runtime.errors import TextError
from sewd_runtime.system.outputs import OutputFolder
from sewd_runtime.system.standard_streams import standard_input
from sewd_runtime.text.files import decode_text, is_file_name

FAILURES = "failures.jsonl"
"""The file in --output with the recordings that failed, a list that ``--files-from`` takes."""

PATH_KEYS = ("path", "audio", "file", "audio_filepath")
"""Columns and keys with the path of a recording: ours, those of data sets, NeMo's."""


class ListedFile(str):
    """The path of a recording, to which a list gives an id: the name of its output."""

    __slots__ = ("id",)

    id: str

    def __new__(cls, path: str, id: str) -> "ListedFile":
        """Make one of a path and an id."""
        listed = super().__new__(cls, path)
        listed.id = id
        return listed


def id_of(name: str) -> str | None:
    """Return the id that a list gives a file, None if there is none."""
    return name.id if isinstance(name, ListedFile) else None


def add_list(group: argparse._ActionsContainer) -> None:
    """Add ``--files-from``."""
    text = (
        'a list of files, - for stdin: a path a line; or ID, tab, PATH; or {"id": ID, "path": PATH}. Paths '
        "are relative to it; an ID names the output in place of the file's name"
    )
    group.add_argument("--files-from", metavar="LIST", help=text)


def read_list(options: argparse.Namespace) -> None:
    """Add what is listed to ``options.files``; exits with wrong usage for a bad list, and for no file."""
    if options.files_from is not None:
        try:
            options.files = [*options.files, *_read(options.files_from)]
        except (TextError, OSError) as error:
            options.error(f"--files-from {options.files_from}: {getattr(error, 'strerror', None) or error}")
    elif not options.files:
        options.error("give a FILE, or a list of files with --files-from")


def _read(source: str) -> list[str]:
    content = standard_input().read() if source == "-" else Path(source).read_bytes()
    folder = Path() if source == "-" else Path(source).parent
    columns: Sequence[str] = ("id", "path")
    files: list[str] = []
    ids: set[str] = set()
    for number, line in enumerate(decode_text(content, "the list").split("\n"), 1):
        line = line.removesuffix("\r")
        if not line.strip():
            continue
        if not files and set(line.split("\t")) & set(PATH_KEYS) and "\t" in line:
            columns = line.split("\t")
            continue
        path, name = _entry(line, columns, f"line {number}")
        if not is_file_name(path):
            raise TextError(f"line {number}: {path[:60]!r} is not the name of a file")
        path = str(folder / path)
        if name is None:
            files.append(path)
            continue
        if not is_file_name(name) or Path(name).name != name or name in ids:
            fault = "is listed twice" if name in ids else "cannot be the name of an output"
            raise TextError(f"line {number}: the id {name[:60]!r} {fault}")
        ids.add(name)
        files.append(ListedFile(path, name))
    return files


def _entry(line: str, columns: Sequence[str], where: str) -> tuple[str, str | None]:
    """Return the path and the id of a line."""
    row: Mapping[str, object]
    if line.lstrip().startswith("{"):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TextError(f"{where}: not JSON: {error}") from error
    elif "\t" in line:
        row = dict(zip(columns, line.split("\t"), strict=False))
    else:
        return line, None
    path, name = next((row[key] for key in PATH_KEYS if key in row), None), row.get("id")
    if not isinstance(path, str) or not isinstance(name, str | int | None):
        raise TextError(f'{where}: write ID, tab, PATH or {{"id": "a", "path": "a.wav"}}')
    return path, None if name is None else str(name)


def write_failures(failures: Sequence[tuple[str, str]], folder: Path) -> None:
    """Write which files failed and why, or remove the list of an earlier run; raises OSError."""
    outputs, path = OutputFolder(folder), folder / FAILURES
    if failures:
        outputs.write(path, "".join(_lines(failures)))
        return
    with suppress(OSError):  # not ours, or there is none
        outputs.check(path)
        path.unlink()


def _lines(failures: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, reason in failures:
        row = {} if id_of(name) is None else {"id": id_of(name)}
        path = name if name == "-" else str(Path(name).absolute())
        yield json.dumps({**row, "path": path, "error": reason}) + "\n"
