from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sewd_runtime.decode import Hypothesis, align_tokens, greedy, log_softmax
from sewd_runtime.errors import AlignmentError, SewdError

BLANK = 1
VOCAB = 4


def emission(seed: int, frames: int, vocab: int = VOCAB, scale: float = 2.0) -> np.ndarray:
    return log_softmax(np.random.default_rng(seed).normal(0, scale, (frames, vocab)).astype(np.float32))


def read(path: tuple[int, ...]) -> tuple[int, ...]:
    """The tokens of a path: repeats merged, blanks removed."""
    return tuple(label for label, _ in groupby(path) if label != BLANK)


def path_of(hypothesis: Hypothesis, frames: int) -> list[int]:
    labels = [BLANK] * frames
    for token, start, end in zip(hypothesis.token_ids, hypothesis.starts, hypothesis.ends, strict=True):
        labels[start:end] = [token] * (end - start)
    return labels


def score(log_probs: np.ndarray, path: list[int] | tuple[int, ...]) -> float:
    return float(log_probs[np.arange(len(path)), list(path)].astype(np.float64).sum())


@given(
    seed=st.integers(0, 2**32),
    frames=st.integers(0, 6),
    tokens=st.lists(st.sampled_from([0, 2, 3]), max_size=5),
)
@settings(max_examples=300, deadline=None)
def test_alignment_is_the_best_of_all_paths_of_the_tokens(seed: int, frames: int, tokens: list[int]) -> None:
    log_probs = emission(seed, frames)
    paths = [path for path in product(range(VOCAB), repeat=frames) if read(path) == tuple(tokens)]
    if not paths:
        with pytest.raises(AlignmentError, match=f"there are {frames}; give a shorter text"):
            align_tokens(log_probs, tokens, blank_id=BLANK)
        return
    found = align_tokens(log_probs, tokens, blank_id=BLANK)
    path = path_of(found, frames)
    assert found.token_ids == read(tuple(path)) == tuple(tokens)
    assert score(log_probs, path) == pytest.approx(max(score(log_probs, one) for one in paths), abs=1e-6)
    for token, start, end, mean in zip(
        found.token_ids, found.starts, found.ends, found.log_probs, strict=True
    ):
        assert mean == pytest.approx(log_probs[start:end, token].mean(dtype=np.float64), abs=1e-9)


@pytest.mark.parametrize("frames", [1, 2, 3, 50, 399, 400, 401, 1000])
def test_the_greedy_tokens_have_the_greedy_path(frames: int) -> None:
    """The best of all paths is also the best path of its tokens."""
    log_probs = emission(frames, frames, vocab=32)
    [best] = greedy(log_probs[None], np.array([frames]), BLANK)
    found = align_tokens(log_probs, best.token_ids, blank_id=BLANK)
    assert (found.token_ids, found.starts, found.ends) == (best.token_ids, best.starts, best.ends)
    np.testing.assert_allclose(found.log_probs, best.log_probs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_outputs_with_one_canonical_id_count_as_one(seed: int) -> None:
    canonical = (0, BLANK, 2, 0, BLANK, 7, 7)
    log_probs = emission(seed, 60, vocab=7)
    before = log_probs.copy()
    [best] = greedy(log_probs[None], np.array([60]), BLANK, canonical_ids=canonical)
    found = align_tokens(log_probs, best.token_ids, blank_id=BLANK, canonical_ids=canonical)
    assert {0, 2, 7} == set(found.token_ids)
    assert (found.token_ids, found.starts, found.ends) == (best.token_ids, best.starts, best.ends)
    np.testing.assert_allclose(found.log_probs, best.log_probs, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(log_probs, before)


def test_no_tokens_have_no_frames() -> None:
    for frames in (0, 5):
        assert align_tokens(emission(0, frames), (), blank_id=BLANK) == Hypothesis()


def test_the_smallest_number_of_frames_is_enough() -> None:
    tokens = (0, 0, 2, 2, 3)
    found = align_tokens(emission(0, 7), tokens, blank_id=BLANK)
    assert path_of(found, 7) == [0, BLANK, 0, 2, BLANK, 2, 3]
    with pytest.raises(AlignmentError, match="5 tokens, with a blank in each of 2 repeats, need 7 frames"):
        align_tokens(emission(0, 6), tokens, blank_id=BLANK)


@pytest.mark.parametrize("token", [-1, BLANK, VOCAB])
def test_a_token_that_is_blank_or_no_output_is_named(token: int) -> None:
    with pytest.raises(AlignmentError, match=f"token 1 has the id {token},"):
        align_tokens(emission(0, 9), (0, token), blank_id=BLANK)


def test_tokens_of_probability_zero_are_refused() -> None:
    log_probs = emission(0, 9)
    log_probs[:, 2] = -np.inf
    assert issubclass(AlignmentError, SewdError)
    with pytest.raises(AlignmentError, match="no path"):
        align_tokens(log_probs, (0, 2), blank_id=BLANK)


def test_everything_is_a_plain_python_number() -> None:
    found = align_tokens(emission(0, 9), np.array([0, 2]), blank_id=BLANK)  # type: ignore[arg-type]
    assert {type(value) for value in (*found.token_ids, *found.starts, *found.ends)} == {int}
    assert {type(value) for value in found.log_probs} == {float}


@given(
    seed=st.integers(0, 2**32),
    frames=st.integers(0, 5),
    tokens=st.lists(st.sampled_from([0, 2, 50, 51]), max_size=4),
)
@settings(max_examples=200, deadline=None)
def test_a_wildcard_is_a_token_as_probable_as_the_best_output(
    seed: int, frames: int, tokens: list[int]
) -> None:
    log_probs = emission(seed, frames)
    anything = log_probs.max(axis=1, keepdims=True, initial=-np.inf) - 1e-3
    extended = np.concatenate([log_probs, anything], axis=1)
    mapped = [min(token, VOCAB) for token in tokens]
    paths = [path for path in product(range(VOCAB + 1), repeat=frames) if read(path) == tuple(mapped)]
    if not paths:
        with pytest.raises(AlignmentError, match=f"there are {frames}; give a shorter text"):
            align_tokens(log_probs, tokens, blank_id=BLANK, first_wildcard=50)
        return
    found = align_tokens(log_probs, tokens, blank_id=BLANK, first_wildcard=50)
    assert found.token_ids == tuple(tokens)
    path = [min(label, VOCAB) for label in path_of(found, frames)]
    assert score(extended, path) == pytest.approx(max(score(extended, one) for one in paths), abs=1e-6)
    assert [np.isneginf(one) for one in found.log_probs] == [token >= 50 for token in tokens]


def test_silence_around_a_wildcard_is_not_its_own() -> None:
    log_probs = np.log(np.full((40, VOCAB), 0.001, np.float32))
    log_probs[:, BLANK] = np.log(0.997)
    for frame, token in ((10, 0), (20, 2), (23, 3), (30, 0)):
        log_probs[frame] = np.log(0.001)
        log_probs[frame, token] = np.log(0.997)
    found = align_tokens(log_probs, (0, 9, 0), blank_id=BLANK, first_wildcard=9)
    assert (found.starts, found.ends) == ((10, 20, 30), (11, 24, 31))
