"""Language models: how probable a word is after others."""

from __future__ import annotations

import bz2
import gzip
import lzma
import mmap
import os
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from sewd_runtime.errors import LanguageModelError, MissingPackageError
from sewd_runtime.text.vocabulary import Vocabulary

Level = Literal["word", "character"]

LOG_10 = 2.302585092994046
"""ARPA files and KenLM count in decades."""

DELIMITER_SYMBOL = "|"
"""What stands for the space between words in the text of a character model."""

_BINARY_MAGIC = b"mmap lm http://kheafield.com/code"
_COMPRESSED: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}


class LanguageModel(Protocol):
    """Scores words, or characters, one after the other. States can be compared and hashed."""

    @property
    def level(self) -> Level:
        """What it scores."""
        ...

    def start(self) -> Hashable:
        """Return the state before the first word."""
        ...

    def score(self, state: Any, word: str) -> tuple[float, Hashable]:
        """Return the natural log-probability of a word in this state, and the state after it."""
        ...

    def end(self, state: Any) -> float:
        """Return the natural log-probability that the sentence ends in this state."""
        ...

    def words(self) -> Iterable[str]:
        """Return all words it knows."""
        ...

    def __contains__(self, word: str) -> bool: ...


class KenlmModel:
    """An n-gram model in an ARPA file or a KenLM binary, read by the kenlm package (extra ``lm``).

    K. Heafield, "KenLM: Faster and Smaller Language Model Queries", WMT 2011.
    """

    def __init__(self, path: str | os.PathLike[str], *, level: Level = "word") -> None:
        """Open a file. level: "character" where its words are characters, ``|`` the space between words.

        Raises LanguageModelError, MissingPackageError.
        """
        try:
            import kenlm
        except ImportError as error:
            raise MissingPackageError("language models need the package kenlm; install sewd[lm]") from error
        self.path, self._level, self._kenlm = Path(path), level, kenlm
        if not self.path.is_file():
            raise LanguageModelError(f"{self.path}: no such file; `sewd lm build` makes one from text")
        config = kenlm.Config()
        config.show_progress = False
        config.arpa_complain = kenlm.ARPALoadComplain.NONE
        try:
            self._model = kenlm.Model(str(self.path), config)
        except (OSError, RuntimeError) as error:
            raise LanguageModelError(
                f"{self.path}: neither an ARPA file nor a KenLM binary that this kenlm reads: {error}"
            ) from error

    def __repr__(self) -> str:
        return f"KenlmModel({str(self.path)!r}, level={self._level!r})"

    @property
    def level(self) -> Level:
        """What it scores."""
        return self._level

    @property
    def order(self) -> int:
        """The length of its longest n-grams."""
        return int(self._model.order)

    def start(self) -> Hashable:
        """Return the state at the beginning of a sentence."""
        state = self._kenlm.State()
        self._model.BeginSentenceWrite(state)
        return state  # type: ignore[no-any-return]

    def score(self, state: Any, word: str) -> tuple[float, Hashable]:
        """Return a word's natural log-probability and the state after it; an unknown word is ``<unk>``."""
        after = self._kenlm.State()
        return self._model.BaseScore(state, word, after) * LOG_10, after

    def end(self, state: Any) -> float:
        """Return the natural log-probability of the sentence's end."""
        return float(self._model.BaseScore(state, "</s>", self._kenlm.State()) * LOG_10)

    def words(self) -> Iterator[str]:
        """Yield all words of the file; kenlm itself does not list them."""
        with self.path.open("rb") as file:
            magic = file.read(len(_BINARY_MAGIC))
        found = _binary_words(self.path) if magic == _BINARY_MAGIC else _arpa_words(self.path, magic[:2])
        return (word for word in found if word not in ("<unk>", "<s>", "</s>", ""))

    def __contains__(self, word: str) -> bool:
        return word in self._model


def _arpa_words(path: Path, magic: bytes) -> Iterator[str]:
    opened: IO[str] = _COMPRESSED.get(magic, open)(path, "rt", encoding="utf-8", errors="replace")
    with opened as lines:
        for line in lines:
            if line.strip() == "\\1-grams:":
                break
        for line in lines:
            columns = line.split()
            if len(columns) < 2:
                return
            yield columns[1]


def _binary_words(path: Path) -> list[str]:
    """Return the words at the end of a binary, zeros behind each, the first of them ``<unk>``."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        begin = content.rfind(b"<unk>\0")
        if begin < 0:
            raise LanguageModelError(f"{path}: the binary holds no list of its words; build it with them")
        return content[begin:].decode("utf-8", errors="replace").split("\0")


def choose_case(lm: LanguageModel, vocabulary: Vocabulary) -> Callable[[str], str]:
    """Return how the model's words are written to look them up: as they are, in lower or in upper case.

    It is the one in which most of the language model's words can be spelt with the vocabulary's tokens.
    Raises LanguageModelError: none can in any, so every word would be unknown.
    """
    letters = {piece for piece in vocabulary.pieces.values() if len(piece) == 1 and piece != " "}
    if lm.level == "character":
        letters.add(DELIMITER_SYMBOL)
    written = {case: {case(letter) for letter in letters} for case in (str, str.lower, str.upper)}
    counts = dict.fromkeys(written, 0)
    for word in lm.words():
        characters = set(word)
        for case, known in written.items():
            counts[case] += characters <= known
    best = max(counts, key=lambda case: counts[case])
    if counts[best] == 0:
        raise LanguageModelError(
            f"{lm!r}: the recognizer can write none of its words, in neither case, with its letters "
            f"{''.join(sorted(letters))[:60]}; train it on text like the recognizer's"
        )
    return best
