"""Language models: the interface, and n-gram models read by KenLM."""

import bz2
import gzip
import lzma
import mmap
import os
import unicodedata
import zlib
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from sewd_runtime.decode.lm.arpa import check_arpa
from sewd_runtime.errors import LanguageModelError, MissingPackageError
from sewd_runtime.text.spelling import Speller
from sewd_runtime.text.vocabulary import Vocabulary

Level = Literal["word", "character"]

LOG_10 = 2.302585092994046
"""ARPA files and KenLM use logarithms to base 10."""

DELIMITER_SYMBOL = "|"
"""The symbol of the space between words in a character model."""

_ENOUGH_WORDS = 1000
"""More words that fit do not change which form they are in."""

BINARY_MAGIC = b"mmap lm http://kheafield.com/code"
_COMPRESSED: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}


class LanguageModel(Protocol):
    """Scores one word (or character) after another; states can be compared and hashed."""

    @property
    def level(self) -> Level:
        """The units that it scores."""

    def start(self) -> Hashable:
        """Return the state before the first word."""

    def score(self, state: Any, word: str) -> tuple[float, Hashable]:
        """Return the natural log-probability of a word in this state, and the state after it."""

    def end(self, state: Any) -> float:
        """Return the natural log-probability that the sentence ends in this state."""

    def words(self) -> Iterable[str]:
        """Return all words that it knows."""

    def __contains__(self, word: str) -> bool: ...


class KenlmModel:
    """An n-gram model in an ARPA file or a KenLM binary, read by the kenlm package (extra ``lm``).

    K. Heafield, "KenLM: Faster and Smaller Language Model Queries", WMT 2011.
    """

    def __init__(self, path: str | os.PathLike[str], *, level: Level = "word") -> None:
        """Open a file. level: "character" if its units are characters, with ``|`` between words.

        Raises LanguageModelError, MissingPackageError.
        """
        try:
            import kenlm
        except ImportError as error:
            raise MissingPackageError(
                "language models need the package kenlm; install sewd[lm] (Python 3.12 at most: kenlm does "
                "not build on newer ones)"
            ) from error
        self.path, self._level, self._kenlm = Path(path), level, kenlm
        if not self.path.is_file():
            raise LanguageModelError(f"{self.path}: no such file; `sewd lm build` makes one from text")
        if not is_binary(self.path):
            with _open_arpa(self.path) as lines:
                check_arpa(lines, str(self.path))
        config = kenlm.Config()
        config.show_progress = False
        config.arpa_complain = kenlm.ARPALoadComplain.NONE
        try:
            self._model = kenlm.Model(str(self.path), config)
        except (OSError, RuntimeError, MemoryError, UnicodeDecodeError) as error:  # the last: of its message
            reason = str(error)[:500]  # KenLM repeats the line that it cannot read
            raise LanguageModelError(
                f"{self.path}: not an ARPA file, nor a KenLM binary that this kenlm reads: {reason}"
            ) from error

    def __repr__(self) -> str:
        return f"KenlmModel({str(self.path)!r}, level={self._level!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy it as its path, which is opened again."""
        return partial(KenlmModel, self.path, level=self._level), ()

    @property
    def level(self) -> Level:
        """The units that it scores."""
        return self._level

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return int(self._model.order)

    def start(self) -> Hashable:
        """Return the state at the beginning of a sentence."""
        state = self._kenlm.State()
        self._model.BeginSentenceWrite(state)
        return state  # type: ignore[no-any-return]

    def score(self, state: Any, word: str) -> tuple[float, Hashable]:
        """Return the natural log-probability of a word, or ``<unk>``, and the state after it."""
        after = self._kenlm.State()
        return self._model.BaseScore(state, word, after) * LOG_10, after

    def end(self, state: Any) -> float:
        """Return the natural log-probability that the sentence ends."""
        return float(self._model.BaseScore(state, "</s>", self._kenlm.State()) * LOG_10)

    def words(self) -> Iterator[str]:
        """Return all words of the file, which the kenlm package does not list."""
        words = _binary_words(self.path) if is_binary(self.path) else _arpa_words(self.path)
        return (word for word in words if word not in ("<unk>", "<s>", "</s>", ""))

    def __contains__(self, word: str) -> bool:
        return word in self._model


def is_binary(path: Path) -> bool:
    """Return whether a file is a KenLM binary, which is mapped into memory unchecked."""
    with path.open("rb") as file:
        return file.read(len(BINARY_MAGIC)) == BINARY_MAGIC


@contextmanager
def _open_arpa(path: Path) -> Iterator[Iterator[bytes]]:
    """Open the lines of an ARPA file, compressed or not. Raises LanguageModelError if it cannot be read."""
    with path.open("rb") as file:
        magic = file.read(2)
    try:
        with _COMPRESSED.get(magic, open)(path, "rb") as lines:
            yield lines
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise LanguageModelError(f"{path}: cannot be read to its end: {error}; copy it again") from error


def _arpa_words(path: Path) -> Iterator[str]:
    with _open_arpa(path) as lines:
        for line in lines:
            if line.strip() == b"\\1-grams:":
                break
        for line in lines:
            columns = line.decode("utf-8", errors="replace").split()
            if len(columns) < 2:
                return
            yield columns[1]


def _binary_words(path: Path) -> list[str]:
    """Return the zero-terminated words at the end of a binary file; the first is ``<unk>``."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        begin = content.rfind(b"<unk>\0")
        if begin < 0:
            raise LanguageModelError(f"{path}: the binary has no list of its words; build it with one")
        return content[begin:].decode("utf-8", errors="replace").split("\0")


def choose_form(lm: LanguageModel, vocabulary: Vocabulary) -> Callable[[str], str]:
    """Return how the recognizer's words are written to look them up in the model.

    As they are, composed (NFC) or decomposed (NFD); in their own, lower or upper case: the form in which most
    of the model's words are, of the first 1,000 that the recognizer can write. Raises LanguageModelError if
    it can write none, because then every word would be unknown.
    """
    speller = Speller(vocabulary)
    counts: dict[Callable[[str], str], int] = {
        partial(_in_form, case=case, normal=normal): 0
        for case in (str, str.lower, str.upper)
        for normal in (None, "NFC", "NFD")
    }
    for word in lm.words():
        spelling = speller.spell(word)
        if spelling.left_out or len(spelling.words) != 1 or spelling.words[0] is None:
            continue
        written = "".join(map(vocabulary.piece, spelling.words[0]))
        for form in counts:
            counts[form] += form(written) == word
        if max(counts.values()) >= _ENOUGH_WORDS:
            break
    best = max(counts, key=lambda form: counts[form])
    if counts[best] == 0:
        raise LanguageModelError(
            f"{lm!r}: the recognizer can write none of its words, in either case, with its letters "
            f"{speller.letters}; train it on text like the recognizer's"
        )
    return best


def _in_form(text: str, *, case: Callable[[str], str], normal: Literal["NFC", "NFD"] | None) -> str:
    return case(text) if normal is None else unicodedata.normalize(normal, case(text))
