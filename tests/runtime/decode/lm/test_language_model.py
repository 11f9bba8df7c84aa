from __future__ import annotations

import copy
import gzip
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sewd_runtime.decode import BeamSearch, log_softmax
from sewd_runtime.decode.lm.arpa import write_arpa
from sewd_runtime.decode.lm.kneser_ney import estimate
from sewd_runtime.decode.lm.model import KenlmModel, choose_form
from sewd_runtime.errors import LanguageModelError, MissingPackageError
from sewd_runtime.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(
    blank_id=0,
    word_delimiter_id=1,
    canonical_ids=tuple(range(6)),
    pieces={0: "", 1: " ", 2: "E", 3: "N", 4: "O", 5: "T"},
    unknown_piece=None,
    do_lower_case=False,
    clean_up_spaces=False,
)
TEXT = ["one", "ten", "one", "ten", "one", "ten", "to", "one", "tee", "no", "one", "net"]


@pytest.fixture(scope="module")
def arpa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("kenlm", reason="needs sewd[lm]")
    path = tmp_path_factory.mktemp("lm") / "lm.arpa"
    write_arpa(estimate([TEXT, TEXT[:3]], order=3), path)
    return path


def emission(text: str, sharpness: float = 6.0, seed: int = 0) -> np.ndarray:
    """Log-probabilities (1, frames, vocab) of a text, with a blank after every letter."""
    ids = {" ": 1, "e": 2, "n": 3, "o": 4, "t": 5}
    labels = np.array([label for letter in text for label in (ids[letter], 0)])
    logits = np.random.default_rng(seed).normal(0, 1, (len(labels), 6))
    logits[np.arange(len(labels)), labels] += sharpness
    return log_softmax(logits)[None]


def read(options: BeamSearch, log_probs: np.ndarray) -> str:
    [found] = options.decode(log_probs, np.array([log_probs.shape[1]]), VOCABULARY)
    return VOCABULARY.text(found.token_ids)


def test_it_decides_between_equally_likely_words(arpa: Path) -> None:
    log_probs = emission("one ten")
    log_probs[0, 10] = log_probs[0, 10, [0, 1, 2, 3, 4, 2]]  # the letter e or t
    log_probs[0, 10, 5] += 0.5
    assert read(BeamSearch(), log_probs) == "ONE TTN"
    assert read(BeamSearch(lm=KenlmModel(arpa)), log_probs) == "ONE TEN"


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda lm: pickle.loads(pickle.dumps(lm))])
def test_a_copy_opens_the_same_file(arpa: Path, duplicate: Callable[[Any], Any]) -> None:
    decoder = duplicate(BeamSearch(lm=KenlmModel(arpa, level="character")))
    assert repr(decoder.lm) == repr(KenlmModel(arpa, level="character"))


def test_the_case_of_its_words_is_found(arpa: Path) -> None:
    assert choose_form(KenlmModel(arpa), VOCABULARY)("TEN") == "ten"
    upper = arpa.with_name("upper.arpa")
    write_arpa(estimate([[word.upper() for word in TEXT]], order=2), upper)
    assert choose_form(KenlmModel(upper), VOCABULARY)("TEN") == "TEN"


@pytest.mark.parametrize("words", [["une", "deux"], ["один", "два"]])
def test_words_of_another_language_are_an_error(arpa: Path, words: list[str]) -> None:
    other = arpa.with_name("other.arpa")
    write_arpa(estimate([words], order=2), other)
    with pytest.raises(LanguageModelError, match=r"other\.arpa.*can write none of its words"):
        read(BeamSearch(lm=KenlmModel(other)), emission("one"))


def test_a_compressed_file_is_read_too(arpa: Path) -> None:
    packed = arpa.with_name("lm.arpa.gz")
    packed.write_bytes(gzip.compress(arpa.read_bytes()))
    try:
        lm = KenlmModel(packed)
    except LanguageModelError:
        pytest.skip("this kenlm is built without zlib")
    assert sorted(lm.words()) == sorted(KenlmModel(arpa).words())


def test_the_words_of_a_binary_are_found(arpa: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lm = KenlmModel(arpa)
    binary = arpa.with_name("lm.binary")  # ends like a file of build_binary
    head = b"mmap lm http://kheafield.com/code format version 5\n\0" + bytes(range(256)) * 20
    binary.write_bytes(
        head + b"\0".join(word.encode() for word in ("<unk>", "<s>", "</s>", "ONE", "TEN")) + b"\0"
    )
    monkeypatch.setattr(lm, "path", binary)
    assert list(lm.words()) == ["ONE", "TEN"]
    binary.write_bytes(head)
    with pytest.raises(LanguageModelError, match="no list of its words"):
        list(lm.words())


@pytest.mark.parametrize(
    "content", [None, b"", b"not a model", b"\xff\xfe\0", b"mmap lm http", b"\\data\\\nngram 1=2\n"]
)
def test_a_file_that_is_no_model_is_refused(content: bytes | None, tmp_path: Path) -> None:
    pytest.importorskip("kenlm", reason="needs sewd[lm]")
    path = tmp_path / "lm.arpa"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LanguageModelError, match=r"lm\.arpa: (no such file|not an ARPA|a broken ARPA)"):
        KenlmModel(path)


def test_without_kenlm_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kenlm", None)
    with pytest.raises(MissingPackageError, match=r"sewd\[lm\]"):
        KenlmModel(tmp_path / "lm.arpa")


def test_a_character_model_reads_spaces_as_a_symbol(arpa: Path) -> None:
    path = arpa.with_name("characters.arpa")
    text = [list("|".join(TEXT)), list("ten|one")]
    write_arpa(estimate(text, order=4), path)
    lm = KenlmModel(path, level="character")
    log_probs = emission("one ten")
    log_probs[0, 10] = log_probs[0, 10, [0, 1, 2, 3, 4, 2]]
    log_probs[0, 10, 5] += 0.5
    options: dict[str, Any] = {"lm": lm, "alpha": 0.7, "beta": 0.5}
    assert read(BeamSearch(**options), log_probs) == "ONE TEN"
    state = BeamSearch(**options).start(VOCABULARY)
    for frame in range(log_probs.shape[1]):
        state.advance(log_probs[0, frame : frame + 1])
    assert VOCABULARY.text(state.best().token_ids) == "ONE TEN"


@pytest.mark.parametrize("seed", range(3))
def test_kenlm_scores_are_part_of_the_score(arpa: Path, seed: int) -> None:
    """Law: with another alpha the score changes by that difference times the model's log-probability."""
    lm = KenlmModel(arpa)
    log_probs = emission("to ", 1.0, seed)[:, :5]
    lengths = np.array([log_probs.shape[1]])
    wide: dict[str, Any] = {"width": 10_000, "token_min_log_prob": -99.0, "beam_threshold": 99.0, "lm": lm}
    plain, scored = (
        {
            VOCABULARY.text(one.token_ids): one.score
            for one in BeamSearch(**wide, alpha=alpha).n_best(log_probs, lengths, VOCABULARY)[0]
        }
        for alpha in (0.0, 0.5)
    )
    assert plain.keys() == scored.keys()
    assert len(plain) > 100
    for text in plain:
        total, state = 0.0, lm.start()
        for word in text.lower().split():
            log_prob, state = lm.score(state, word)
            total += log_prob if word in lm else -10.0
        assert scored[text] - plain[text] == pytest.approx(0.5 * (total + lm.end(state)), abs=1e-6)
