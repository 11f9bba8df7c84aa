"""Laws: after every context the probabilities sum to 1; KenLM reads the file and gives the same scores."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from sewd_runtime.cli import main
from sewd_runtime.decode.lm.arpa import write_arpa
from sewd_runtime.decode.lm.kneser_ney import BEGIN, END, UNKNOWN, Ngrams, estimate, find_discounts
from sewd_runtime.decode.lm.normalisation import sentences
from sewd_runtime.text.vocabulary import Vocabulary

LETTERS = Vocabulary(
    blank_id=0,
    word_delimiter_id=1,
    canonical_ids=tuple(range(29)),
    pieces={0: "", 1: " ", **{place: chr(63 + place) for place in range(2, 28)}, 28: "'"},
    unknown_piece=None,
    do_lower_case=False,
    clean_up_spaces=False,
)


def draw(seed: int, count: int = 60, words: str = "abcdef") -> list[list[str]]:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(len(words)))
    return [rng.choice(list(words), size=rng.integers(1, 7), p=shares).tolist() for _ in range(count)]


def probability(ngrams: Ngrams, context: tuple[str, ...], word: str) -> float:
    """Return the probability of a word after a context by the back-off rule."""
    listed = ngrams.probabilities[len(context)].get((*context, word))
    if listed is not None:
        return listed
    if not context:
        return 0.0
    return ngrams.back_offs.get(context, 1.0) * probability(ngrams, context[1:], word)


def by_definition(text: list[list[str]], order: int, context: tuple[str, ...], word: str) -> float:
    """Return the same directly from the formulas, counting in the text each time."""
    padded = [(BEGIN, *sentence, END) for sentence in text]

    def windows(length: int) -> list[tuple[str, ...]]:
        return [words[i : i + length] for words in padded for i in range(len(words) - length + 1)]

    def count(gram: tuple[str, ...]) -> int:
        if len(gram) == order or gram[0] == BEGIN:
            return windows(len(gram)).count(gram)
        return len({window[0] for window in windows(len(gram) + 1) if window[1:] == gram})

    vocabulary = sorted({word for words in padded for word in words} - {BEGIN} | {UNKNOWN})
    grams = {gram for gram in windows(len(context) + 1) if gram != (BEGIN,)}
    seen = Counter(count(gram) for gram in grams)
    share = seen[1] / (seen[1] + 2 * seen[2])
    discounts = [k - (k + 1) * share * seen[k + 1] / seen[k] if seen[k] else -1 for k in (1, 2, 3)]
    if not all(0 < discount <= k for k, discount in enumerate(discounts, 1)):
        discounts = [0.5, 1.0, 1.5]
    lower = by_definition(text, order, context[1:], word) if context else 1 / len(vocabulary)
    counts = {other: count((*context, other)) for other in vocabulary}
    total = sum(counts.values())
    if total == 0:
        return lower
    taken = {other: discounts[min(n, 3) - 1] if n else 0 for other, n in counts.items()}
    return (counts[word] - taken[word]) / total + sum(taken.values()) / total * lower


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_after_every_context_the_probabilities_sum_to_one(order: int, seed: int) -> None:
    text = [*draw(seed), ["a"]]
    ngrams = estimate(text, order=order)
    words = [*"abcdef", "z", UNKNOWN, END]
    known = [gram[0] for gram in ngrams.probabilities[0]]
    for length in range(order):
        for context in product([BEGIN, *"abcdef", UNKNOWN], repeat=length):
            assert sum(probability(ngrams, context, word) for word in known) == pytest.approx(1, abs=1e-12)
    assert set(known) <= set(words)
    assert all(0 < value < 1 for found in ngrams.probabilities for value in found.values())


@pytest.mark.parametrize(("order", "seed"), [(2, 0), (3, 1), (3, 2)])
def test_estimates_follow_the_formulas(order: int, seed: int) -> None:
    text = [*draw(seed, 25, "abc"), ["a", UNKNOWN]]
    ngrams = estimate(text, order=order)
    for context in product([BEGIN, *"abc"], repeat=order - 1):
        if BEGIN in context[1:]:
            continue
        for word in (*"abc", END, UNKNOWN):
            expected = by_definition(text, order, context, word)
            assert probability(ngrams, context, word) == pytest.approx(expected, rel=1e-12)


def test_discounts() -> None:
    counts = [1] * 10 + [2] * 5 + [3] * 3 + [4] * 2 + [9]
    share = 10 / 20
    expected = (1 - 2 * share * 5 / 10, 2 - 3 * share * 3 / 5, 3 - 4 * share * 2 / 3)
    assert find_discounts(counts) == pytest.approx(expected)
    assert find_discounts([5, 6, 7]) == (0.5, 1.0, 1.5)
    assert find_discounts([1] * 3 + [2] + [3] * 50) == (0.5, 1.0, 1.5)


@pytest.mark.parametrize("order", [2, 3, 5])
def test_kenlm_reads_it_and_gives_the_same_scores(order: int, tmp_path: Path) -> None:
    pytest.importorskip("kenlm", reason="needs sewd[lm]")
    from sewd_runtime.decode.lm.model import KenlmModel

    text = draw(order)
    ngrams = estimate(text, order=order)
    write_arpa(ngrams, tmp_path / "lm.arpa")
    lm = KenlmModel(tmp_path / "lm.arpa")
    assert lm.order == order
    assert sorted(lm.words()) == sorted({word for sentence in text for word in sentence})
    for sentence in [*draw(99, 20), ["z", "a", "b", "z"], []]:
        state, context = lm.start(), (BEGIN,)
        for word in sentence:
            written = word if word in lm else UNKNOWN
            found, state = lm.score(state, word)
            assert found == pytest.approx(math.log(probability(ngrams, context, written)), abs=1e-5)
            context = (*context, written)[-order + 1 :]
        assert lm.end(state) == pytest.approx(math.log(probability(ngrams, context, END)), abs=1e-5)


def test_text_is_normalised_to_what_the_model_writes() -> None:
    line = "  Don\u2019t stop\u2014caf\u00e9, \u201cnow\u201d! ' - 1984 b2b\n"
    assert list(sentences([line], LETTERS)) == [["DON'T", "STOP", "CAFE", "NOW", UNKNOWN, UNKNOWN]]
    assert list(sentences(["Go on!", " ... ", "A 1"], LETTERS)) == [["GO", "ON"], ["A", UNKNOWN]]
    assert list(sentences(["Go on 1"], LETTERS, characters=True)) == [[*"GO|ON|", UNKNOWN]]


def test_the_command_builds_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.txt").write_text("one two three\nTwo, four!\n", encoding="utf-8")
    text, target = str(tmp_path / "text.txt"), tmp_path / "lm.arpa"
    assert main(["lm", "build", text, text, "-o", str(target), "--order", "2"]) == 0
    assert "4 sentences, 10 words, 0 of them unknown" in capsys.readouterr().err
    assert "ngram 2=" in target.read_text()
    assert "\tTHREE\t" in target.read_text()
    assert main(["lm", "build", text, "-o", str(target), "--level", "character"]) == 0
    assert "\t| T\t" in target.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lm.arpa", "text.txt"]


def test_the_command_reports_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.txt").write_text("... !\n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    for name, message in (("empty", "no word"), ("latin", "not UTF-8"), ("none", "No such file")):
        assert main(["lm", "build", str(tmp_path / f"{name}.txt"), "-o", str(tmp_path / "lm")]) == 3
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["lm", "build", "a.txt", "-o", "b", "--order", "1"])
    assert "below 2" in capsys.readouterr().err
