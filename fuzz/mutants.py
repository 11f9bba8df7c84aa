"""A mutant: the files of a seed, some of them replaced; and mutations of bytes, for every kind of file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[1]
SEEDS = ROOT / "tests" / "data"
CASE = "case.json"
"""In a folder of the corpus, beside the files of the mutant: its seed, its note and its outcome."""

FIFO, FOLDER = "<FIFO>", "<folder>"
_TARGETS = (
    *(FIFO, FIFO, FOLDER, "/dev/zero", "/dev/null", "/dev/stdin", "/etc/passwd", "/proc/self/environ"),
    *("..", ".", "/", "missing", "../outside", "bundle.json", "config.json", "vocab.json"),
)

NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    127,
    128,
    255,
    999,
    1_000,
    1_025,
    32_767,
    65_535,
    2**31 - 1,
    2**31,
    2**32 - 2,
    2**32 - 1,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """Files over those of a seed.

    files: name → content. note: what was done. seed: a folder of tests/data, or "" for none.
    specials: name → the target of a symbolic link, FIFO or FOLDER.
    """

    files: dict[str, bytes]
    note: str
    seed: str = ""
    specials: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the seed's files and the mutant's into a new folder, over any of that name."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, content in {**seed_files(self.seed), **self.files}.items():
            if name not in self.specials:
                (folder / name).write_bytes(content)
        for name, special in self.specials.items():
            if special == FIFO:
                os.mkfifo(folder / name)
            elif special == FOLDER:
                (folder / name).mkdir()
            else:
                (folder / name).symlink_to(special)

    def save(self, case: Path, outcome: str) -> None:
        """Write the mutant's own files and its outcome as a folder of the corpus."""
        case.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (case / name).write_bytes(content)
        facts = {"seed": self.seed, "note": self.note, "outcome": outcome, "specials": self.specials}
        (case / CASE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, case: Path) -> Mutant:
        """Read a folder of the corpus."""
        facts = json.loads((case / CASE).read_text(encoding="utf-8"))
        files = {path.name: path.read_bytes() for path in case.iterdir() if path.name != CASE}
        return cls(files=files, note=facts["note"], seed=facts["seed"], specials=facts.get("specials", {}))


def special_file(random: Random, names: Sequence[str], seed: str) -> Mutant:
    """Put a link, a FIFO or a folder in the place of a file."""
    name, special = random.choice(names), random.choice(_TARGETS)
    return Mutant(files={}, specials={name: special}, note=f"{name}: {special}", seed=seed)


@cache
def seed_files(name: str) -> dict[str, bytes]:
    """Return the files of a folder of tests/data; none for ""."""
    return {path.name: path.read_bytes() for path in sorted((SEEDS / name).iterdir())} if name else {}


def mutate_bytes(random: Random, content: bytes, *, header: int = 200) -> tuple[bytes, str]:
    """Change, cut, insert, delete or repeat bytes, most often of the first ``header``; say what was done."""
    mutation = random.choice(_MUTATIONS)
    return mutation(random, bytearray(content), min(header, len(content))), mutation.__name__.strip("_")


def _change_header(random: Random, content: bytearray, header: int) -> bytes:
    for _ in range(random.choice((1, 1, 2, 4, 10))):
        content[random.randrange(header)] = random.randrange(256)
    return bytes(content)


def _change_anywhere(random: Random, content: bytearray, header: int) -> bytes:
    return _change_header(random, content, len(content))


def _change_number(random: Random, content: bytearray, header: int) -> bytes:
    size = random.choice((2, 4, 4, 8))
    begin = random.randrange(max(1, header - size))
    number = random.choice(NUMBERS) % (1 << 8 * size)
    content[begin : begin + size] = number.to_bytes(size, random.choice(("little", "big")))
    return bytes(content)


def _cut(random: Random, content: bytearray, header: int) -> bytes:
    size = len(content)
    return bytes(content[: random.choice((0, random.randrange(size), random.randrange(header), size - 1))])


def _insert(random: Random, content: bytearray, header: int) -> bytes:
    begin = random.randrange(len(content))
    content[begin:begin] = random.randbytes(random.choice((1, 2, 7, 1_000)))
    return bytes(content)


def _delete(random: Random, content: bytearray, header: int) -> bytes:
    begin = random.randrange(random.choice((header, len(content))))
    del content[begin : begin + random.choice((1, 2, 7, 1_000))]
    return bytes(content)


def _repeat(random: Random, content: bytearray, header: int) -> bytes:
    begin = random.randrange(len(content))
    content[begin:begin] = content[begin : begin + random.choice((4, 50, 3_000))]
    return bytes(content)


def _zero_the_rest(random: Random, content: bytearray, header: int) -> bytes:
    begin = random.randrange(len(content))
    return bytes(content[:begin]) + bytes(len(content) - begin)


def _append(random: Random, content: bytearray, header: int) -> bytes:
    return bytes(content) + random.choice((b"{}", b"\0", b"\n", content, random.randbytes(100)))


_MUTATIONS: tuple[Callable[[Random, bytearray, int], bytes], ...] = (
    *(_change_header, _change_header, _change_number, _change_number, _change_anywhere, _change_anywhere),
    *(_cut, _cut, _insert, _delete, _repeat, _zero_the_rest, _append),
)
