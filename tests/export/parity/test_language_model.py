"""Law: a language model becomes the default only if it lowers the word error rate on enough words."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from sewd_export.checkpoint.language_model import LanguageModel
from sewd_export.errors import ExportError
from sewd_export.parity.language_model import MIN_WORDS, take_language_model
from sewd_export.parity.reference import Answer, Reference
from sewd_runtime.decode.lm.arpa import write_arpa
from sewd_runtime.decode.lm.kneser_ney import estimate
from sewd_runtime.text.vocabulary import Vocabulary

PIECES = {0: "", 1: " ", 2: "E", 3: "N", 4: "O", 5: "T"}


def vocabulary(word_delimiter_id: int | None = 1) -> Vocabulary:
    return Vocabulary(
        blank_id=0,
        word_delimiter_id=word_delimiter_id,
        canonical_ids=tuple(range(6)),
        pieces=PIECES,
        unknown_piece=None,
        do_lower_case=False,
        clean_up_spaces=False,
    )


def reference(heard: str, truth: str | None, letters: Vocabulary) -> Reference:
    """The original's answer: a letter a frame, where E and T are nearly as likely as each other."""
    ids = {piece or "-": number for number, piece in PIECES.items()}
    logits = np.zeros((2 * len(heard), 6), np.float32)
    for place, letter in enumerate(heard):
        logits[2 * place, ids[letter]] = logits[2 * place + 1, 0] = 9
        if letter in "ET":
            logits[2 * place, [ids["E"], ids["T"]]] += (8.9 if letter == "T" else 0, 8.9 * (letter == "E"))
    answer = Answer(name="a", samples=np.zeros(1, np.float32), expected=logits, movement=0, transcript=truth)
    return Reference(task="ctc", golden=answer, answers=(answer,), ragged=(), vocabulary=letters)


@pytest.fixture
def found(tmp_path: Path) -> LanguageModel:
    path = tmp_path / "5gram.arpa"
    write_arpa(estimate([["one", "ten", "one", "ten", "net", "to", "one"]], order=2), path)
    return LanguageModel(path=path, alpha=0.5, beta=1.0)


@pytest.mark.parametrize(
    ("heard", "num", "default"),
    [("ONE TTN ", MIN_WORDS, True), ("ONE TTN ", MIN_WORDS - 2, False), ("ONE TEN ", MIN_WORDS, False)],
    ids=["it helps", "too few words", "it does not help"],
)
def test_it_is_the_default_only_if_it_helps(
    heard: str, num: int, default: bool, found: LanguageModel, tmp_path: Path
) -> None:
    pytest.importorskip("kenlm")
    folder = tmp_path / "bundle"
    folder.mkdir()
    answers = reference(heard * (num // 2), "ONE TEN " * (num // 2), vocabulary())
    entry = take_language_model(found, folder, answers)
    assert (folder / entry.file).is_file()
    assert (entry.words, entry.wer, entry.default) == (num, 0, default)
    assert entry.greedy_wer == (0.5 if "TTN" in heard else 0)


def test_it_is_taken_unmeasured_without_kenlm(
    found: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bundle").mkdir()
    monkeypatch.setitem(sys.modules, "kenlm", None)
    entry = take_language_model(found, tmp_path / "bundle", reference("ONE", "ONE", vocabulary()))
    assert (entry.words, entry.wer, entry.default) == (0, None, False)


def test_one_that_cannot_be_decoded_with_is_an_error(found: LanguageModel, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="--no-lm leaves it out"):
        take_language_model(found, tmp_path, reference("ONE", None, vocabulary(None)))
