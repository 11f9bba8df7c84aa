"""Law: with a wide enough beam a text scores the sum over all its paths plus the scores of its words."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from itertools import groupby, pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sewd_runtime.bundle.manifest import CtcEntry
from sewd_runtime.decode import BeamSearch, Greedy, Hypothesis, beam, log_softmax
from sewd_runtime.errors import DecodingError, HotwordError, LanguageModelError, LexiconError
from sewd_runtime.text.vocabulary import Vocabulary

pytestmark = pytest.mark.filterwarnings("ignore::sewd_runtime.errors.TextWarning")

BLANK, DELIMITER = 1, 3
TOKENS = {"A": 0, "<pad>": BLANK, "B": 2, "|": DELIMITER}
UNPRUNED = {"width": 5000, "token_min_log_prob": -np.inf, "beam_threshold": np.inf}


def vocabulary(
    tokens: Mapping[str, int] = TOKENS, outputs: int = 4, unknown: str | None = None
) -> Vocabulary:
    delimiter = "|" if "|" in tokens else None
    ctc = CtcEntry(
        blank_id=tokens["<pad>"],
        unknown_token=unknown,
        word_delimiter=delimiter,
        do_lower_case=False,
        clean_up_spaces=False,
    )
    return Vocabulary.from_manifest(tokens, ctc, outputs)


class Bigram:
    """A language model with random scores from a seed; it has lower case only."""

    def __init__(self, level: str = "word", known: Collection[str] = ("a", "ab", "b", "ba", "aab")) -> None:
        self.level = level
        self.known = tuple(known)

    def start(self) -> str:
        return "<s>"

    def score(self, state: str, word: str) -> tuple[float, str]:
        return -1 - 3 * np.random.default_rng([*state.encode(), 0, *word.encode()]).random(), word

    def end(self, state: str) -> float:
        return self.score(state, "</s>")[0]

    def words(self) -> Collection[str]:
        return self.known

    def __contains__(self, word: str) -> bool:
        return word in self.known


HOTWORDS = {"A": 1.5, "ab": 2.0, "B A": 3.0, "A B": -1.0, "A B A": 2.5, "bb": 0.7}
OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "hotwords": {"hotwords": HOTWORDS},
    "words": {"lm": Bigram(), "alpha": 0.7, "beta": 0.4, "unknown_score": -5.0},
    "characters": {"lm": Bigram("character", ("a", "|")), "alpha": 0.7, "beta": 0.4, "unknown_score": -5.0},
    "lexicon": {"lexicon": ("a", "AB", "bab", "zoo")},
    "all": {"lm": Bigram(), "lexicon": ("A", "AB", "B"), "hotwords": HOTWORDS},
}


def earned(token_ids: tuple[int, ...], options: BeamSearch) -> float:
    """Return what the words of a text add to its score, word by word."""
    text = "".join({0: "a", 2: "b", 3: " "}[token] for token in token_ids)
    words = text.split()
    total = 0.0
    if options.lexicon is not None and not set(words) <= {word.lower() for word in options.lexicon}:
        return -math.inf
    for phrase, bonus in options.hotwords.items():
        parts = phrase.lower().split()
        total += bonus * sum(words[i : i + len(parts)] == parts for i in range(len(words)))
    if options.lm is not None:
        state = options.lm.start()
        for unit in words if options.lm.level == "word" else text.replace(" ", "|"):
            score, state = options.lm.score(state, unit)
            if unit not in options.lm:
                score = options.unknown_score
            total += options.alpha * score + options.beta
        total += options.alpha * options.lm.end(state)
    return total


def enumerate_paths(log_probs: np.ndarray) -> dict[tuple[int, ...], float]:
    """Return the log-probability of every token sequence: the sum over its paths."""
    scores: dict[tuple[int, ...], float] = {}
    for path in product(range(log_probs.shape[1]), repeat=len(log_probs)):
        tokens = tuple(label for label, _ in groupby(path) if label != BLANK)
        score = sum(float(log_probs[frame, label]) for frame, label in enumerate(path))
        scores[tokens] = np.logaddexp(scores.get(tokens, -np.inf), score)
    return scores


def emission(seed: int, frames: int, sharpness: float = 1.0, vocab: int = 4) -> np.ndarray:
    return log_softmax(np.random.default_rng(seed).normal(0, sharpness, (frames, vocab)).astype(np.float32))


def alone(options: BeamSearch, log_probs: np.ndarray, words: Vocabulary | None = None) -> Hypothesis:
    [hypothesis] = options.decode(log_probs[None], np.array([len(log_probs)]), words or vocabulary())
    return hypothesis


def readings(options: BeamSearch, log_probs: np.ndarray) -> dict[str, float]:
    [found] = options.n_best(log_probs[None], np.array([len(log_probs)]), vocabulary())
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    texts = [vocabulary().text(one.token_ids) for one in found]
    assert len(set(texts)) == len(texts)
    return {text: one.score for text, one in zip(texts, found, strict=True)}


@pytest.mark.parametrize("name", OPTIONS)
@given(seed=st.integers(0, 10_000), frames=st.integers(1, 5), sharpness=st.sampled_from([0.0, 1.0, 3.0]))
@settings(max_examples=25, deadline=None)
def test_without_pruning_every_text_is_scored_by_the_sum_over_its_paths(
    name: str, seed: int, frames: int, sharpness: float
) -> None:
    log_probs = emission(seed, frames, sharpness)
    options = BeamSearch(**UNPRUNED, **OPTIONS[name])
    expected: dict[str, float] = {}
    for tokens, score in enumerate_paths(log_probs).items():
        text, total = vocabulary().text(tokens), score + earned(tokens, options)
        if total > expected.get(text, -np.inf):
            expected[text] = total
    assert readings(options, log_probs) == pytest.approx(expected, abs=1e-6)
    best = alone(options, log_probs)
    assert expected[vocabulary().text(best.token_ids)] == pytest.approx(max(expected.values()), abs=1e-6)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("width", [1, 2, 3, 8, 32])
def test_batch_equals_its_items_and_frames_past_the_end_are_ignored(name: str, width: int) -> None:
    rng = np.random.default_rng(width)
    options = BeamSearch(width=width, token_min_log_prob=-4, beam_threshold=8, **OPTIONS[name])
    lengths = np.array([0, 30, 17, 30, 1, 24])
    log_probs = np.stack([emission(seed, 30, 2.5) for seed in rng.integers(0, 1000, len(lengths))])
    log_probs[3, 5:25] = emission(0, 20, 0) - 20  # frames in which one item has no likely token
    log_probs[3, 5:25, BLANK] = 0
    noisy = log_probs.copy()
    for item, length in enumerate(lengths):
        noisy[item, length:] = np.nan
    together = options.decode(noisy, lengths, vocabulary())
    apart = [alone(options, frames[:length]) for frames, length in zip(log_probs, lengths, strict=True)]
    assert together == apart
    scores = options.n_best(noisy, lengths, vocabulary())
    for item, length in enumerate(lengths):
        assert (
            scores[item]
            == options.n_best(log_probs[item : item + 1, :length], lengths[item : item + 1], vocabulary())[0]
        )


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("seed", range(4))
def test_where_frames_are_split_never_matters_and_settled_tokens_stay(
    name: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beam, "_COMPACT_ABOVE", 10)  # forget prefixes often
    rng = np.random.default_rng(seed)
    options = BeamSearch(width=int(rng.integers(1, 12)), beam_threshold=6, alternatives=3, **OPTIONS[name])
    log_probs = emission(seed, 60, 6.0)
    state, settled, most = options.start(vocabulary()), (), 0
    assert state.best() == Hypothesis()
    edges = np.unique([0, 60, *rng.integers(0, 61, 8)])
    for first, last in pairwise(edges):
        state.advance(log_probs[first:first])
        state.advance(log_probs[first:last])
        assert state.best() == alone(options, log_probs[:last])
        tokens = state.best().token_ids
        assert tokens[: len(settled)] == settled
        settled = tokens[: state.settled()]
        assert state.settled() == len(settled) >= most
        most = len(settled)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_copy_is_independent(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beam, "_COMPACT_ABOVE", 10)  # forgetting prefixes must not affect the copy
    options, log_probs = BeamSearch(width=6, **OPTIONS[name]), emission(7, 40, 6.0)
    state = options.start(vocabulary())
    for end in range(4, 41, 4):
        state.advance(log_probs[end - 4 : end])
        what_if, kept = state.copy(), state.best()
        what_if.advance(log_probs[::-1])
        assert state.best() == kept
        assert what_if.best() == alone(options, np.concatenate([log_probs[:end], log_probs[::-1]]))
    assert state.best() == alone(options, log_probs)


def test_certain_tokens_are_settled_soon() -> None:
    labels = np.random.default_rng(0).integers(0, 4, 50)
    state = BeamSearch().start(vocabulary())
    state.advance(log_softmax(20 * np.eye(4, dtype=np.float32)[labels]))
    assert state.settled() >= len(state.best().token_ids) - 1 > 10


@pytest.mark.parametrize("seed", range(5))
def test_repeated_blank_frames_never_change_the_text(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blank = np.full((1, 4), -60, np.float32)
    blank[0, BLANK] = 0
    parts, longer = [], []
    for index in range(6):
        part = emission(100 * seed + index, int(rng.integers(1, 8)), 2.0)
        parts += [part, blank]
        longer += [part, *[blank] * int(rng.integers(1, 5))]
    for options in (BeamSearch(), BeamSearch(width=3, **OPTIONS["all"])):
        first, second = (alone(options, np.concatenate(frames)) for frames in (parts, longer))
        assert first.token_ids == second.token_ids


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_of_one_on_a_certain_emission_is_greedy(seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 4, 50)
    log_probs = log_softmax(12 * np.eye(4, dtype=np.float32)[labels])
    [greedy] = Greedy().decode(log_probs[None], np.array([50]), vocabulary())
    for width in (1, 4, 32):
        assert alone(BeamSearch(width=width), log_probs).token_ids == greedy.token_ids


@pytest.mark.parametrize("seed", range(5))
def test_a_wider_beam_finds_no_worse_text(seed: int) -> None:
    log_probs = emission(seed, 40, 1.0)
    best = [max(readings(BeamSearch(width=width), log_probs).values()) for width in (1, 4, 16, 64)]
    assert best == sorted(best)


def test_pruned_tokens_are_not_written() -> None:
    log_probs = np.log(np.array([[0.3, 0.4, 0.3, 1e-9]] * 3, np.float32))
    assert "A" in readings(BeamSearch(token_min_log_prob=-2), log_probs)
    assert set(readings(BeamSearch(token_min_log_prob=math.log(0.35)), log_probs)) == {""}
    near = readings(BeamSearch(beam_threshold=0.5), log_probs)
    assert max(near.values()) - min(near.values()) <= 0.5 + 3


def test_outputs_of_one_token_are_summed() -> None:
    words = vocabulary({"A": 0, "<pad>": BLANK, "B": 2}, outputs=5, unknown="A")
    assert words.canonical_ids == (0, 1, 2, 0, 0)
    log_probs = np.log(np.array([[0.2, 0.05, 0.35, 0.2, 0.2]], np.float32))
    assert alone(BeamSearch(), log_probs, words).token_ids == (0,)
    [found] = BeamSearch().n_best(log_probs[None], np.array([1]), words)
    assert found[0].score == pytest.approx(math.log(0.6), abs=1e-6)
    state = BeamSearch().start(words)
    state.advance(log_probs)
    assert state.best().token_ids == (0,)


def test_with_a_lexicon_only_its_words_are_written() -> None:
    options = BeamSearch(lexicon={"ab", "ba"}, width=8)
    for seed in range(20):
        text = vocabulary().text(alone(options, emission(seed, 21, 3)).token_ids)
        assert set(text.split()) <= {"AB", "BA"}
    unfinished = np.log(np.array([[0.98, 0.01, 0.005, 0.005]], np.float32))
    assert alone(BeamSearch(lexicon=["AB"], width=1), unfinished).token_ids == ()


def test_a_frame_that_the_lexicon_forbids_changes_nothing() -> None:
    log_probs = np.full((4, 4), -np.inf, np.float32)
    log_probs[[0, 1, 2, 3], [0, 2, 2, BLANK]] = 0
    assert alone(BeamSearch(lexicon=["A"]), log_probs).token_ids == (0,)
    assert alone(BeamSearch(), log_probs).token_ids == (0, 2)


def test_alternatives_come_with_the_hypothesis() -> None:
    log_probs = emission(3, 12, 1.0)
    plain, asked = alone(BeamSearch(), log_probs), alone(BeamSearch(alternatives=4), log_probs)
    assert plain.alternatives == ()
    assert len(asked.alternatives) == 4
    assert asked.alternatives[0].token_ids == asked.token_ids == plain.token_ids


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width"),
        ({"token_min_log_prob": 0.0}, "token_min_log_prob"),
        ({"beam_threshold": -1.0}, "beam_threshold"),
        ({"alpha": math.nan}, "alpha"),
        ({"alternatives": -1}, "alternatives"),
        ({"lm": "lm.arpa"}, r"give KenlmModel\(path\)"),
        ({"lexicon": "six"}, "give a list of words"),
        ({"hotwords": ["six"]}, "give the bonus of each"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DecodingError, match=message):
        BeamSearch(**options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"hotwords": {"Köln": 5.0}}, HotwordError, "Köln"),
        ({"hotwords": {" ": 5.0}}, HotwordError, "no word"),
        ({"hotwords": {"A": math.inf}}, HotwordError, "finite"),
        ({"hotwords": {"A": 1.0, "a": 2.0}}, HotwordError, "same"),
        ({"lexicon": ["zoo", "A B"]}, LexiconError, "none of the 2 words in the lexicon"),
        ({"lm": Bigram(known=("zoo", "x"))}, LanguageModelError, "none of its words"),
    ],
)
def test_options_that_do_not_fit_the_vocabulary_are_refused(
    options: dict[str, Any], error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        alone(BeamSearch(**options), emission(0, 3))


@pytest.mark.parametrize("delimiter", [None, DELIMITER])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "options",
    [
        BeamSearch(hotwords={"今": 1.5, "今天": 2.0, "天天今": -1.0}, **UNPRUNED),
        BeamSearch(lexicon=["今", "今天", "天天今"], **UNPRUNED),
        BeamSearch(lm=Bigram("word", ("今", "天")), **UNPRUNED),
    ],
    ids=["hotwords", "lexicon", "lm"],
)
def test_without_spaces_characters_are_the_words(
    options: BeamSearch, seed: int, delimiter: int | None
) -> None:
    """Law: hotwords count wherever they occur, and words of a lexicon follow one another directly."""
    tokens = {"今": 0, "<pad>": BLANK, "天": 2, "x" if delimiter is None else "|": 3}
    words = vocabulary(tokens)
    if options.lm is not None and delimiter is not None:
        pytest.skip("a model that may write spaces has words for a word language model")
    log_probs = emission(seed, 4)
    log_probs[:, 3] = -50.0  # a delimiter that is never written
    expected = {}
    for token_ids, score in enumerate_paths(log_probs).items():
        text = words.text(token_ids)
        if options.lexicon is not None and not re.fullmatch(f"({'|'.join(options.lexicon)})*", text):
            continue
        if 3 not in token_ids:
            bonuses = ((bonus, phrase, i) for phrase, bonus in options.hotwords.items() for i in range(4))
            score += sum(bonus for bonus, phrase, i in bonuses if text.startswith(phrase, i))
            state = "<s>"
            for character in text if options.lm else "":
                log_prob, state = options.lm.score(state, character)
                score += options.alpha * log_prob + options.beta
            expected[text] = score + (options.alpha * options.lm.end(state) if options.lm else 0)
    [readings] = options.n_best(log_probs[None], np.array([4]), words)
    found = {words.text(one.token_ids): one.score for one in readings if 3 not in one.token_ids}
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, abs=1e-4)


def test_without_spaces_an_unfinished_word_is_dropped() -> None:
    words = vocabulary({"今": 0, "<pad>": BLANK, "天": 2, "x": 3})
    log_probs = np.log(np.full((3, 4), 0.01, np.float32))
    log_probs[[0, 1, 2], [0, 2, 0]] = 0.0
    options = BeamSearch(lexicon=["今天"], width=1)
    assert alone(options, log_probs, words).token_ids == (0, 2)
    state = options.start(words)
    state.advance(log_probs)
    assert state.settled() == 2
