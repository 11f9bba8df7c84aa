from __future__ import annotations

from itertools import groupby, pairwise, product

import numpy as np
import pytest

from sewd_runtime.bundle.manifest import CtcEntry
from sewd_runtime.decode import DECODERS, Greedy, Hypothesis, greedy, log_softmax
from sewd_runtime.text.vocabulary import Vocabulary

BLANK = 2
VOCAB = 5


def emission(labels: list[int], seed: int = 0, vocab: int = VOCAB) -> np.ndarray:
    """Log-probabilities (frames, vocab) whose best path is `labels`."""
    logits = np.random.default_rng(seed).uniform(-1, 1, (len(labels), vocab)).astype(np.float32)
    logits[np.arange(len(labels)), labels] += 3
    return log_softmax(logits)


@pytest.fixture(scope="module")
def letters() -> Vocabulary:
    """Four tokens and the blank between them."""
    tokens = {"a": 0, "b": 1, "<pad>": BLANK, "c": 3, "|": 4}
    ctc = CtcEntry(
        blank_id=BLANK, unknown_token=None, word_delimiter="|", do_lower_case=False, clean_up_spaces=False
    )
    return Vocabulary.from_manifest(tokens, ctc, VOCAB)


def alone(log_probs: np.ndarray, blank_id: int = BLANK) -> Hypothesis:
    [hypothesis] = greedy(log_probs[None], np.array([len(log_probs)]), blank_id)
    return hypothesis


def ragged(seed: int, batch: int = 7, frames: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    lengths = np.append(rng.integers(0, frames, batch - 2), [0, frames])
    return log_softmax(rng.normal(0, 2, (batch, frames, VOCAB)).astype(np.float32)), lengths


def reference(log_probs: np.ndarray, blank_id: int = BLANK) -> Hypothesis:
    """Decode frame by frame."""
    spans = []
    for label, group in groupby(enumerate(log_probs.argmax(-1).tolist()), key=lambda pair: pair[1]):
        frames = [frame for frame, _ in group]
        if label != blank_id:
            mean = np.mean([log_probs[frame, label] for frame in frames], dtype=np.float64)
            spans.append((label, frames[0], frames[-1] + 1, mean))
    columns = tuple(zip(*spans, strict=True)) or ((), (), (), ())
    return Hypothesis(token_ids=columns[0], starts=columns[1], ends=columns[2], log_probs=columns[3])


def same(first: Hypothesis, second: Hypothesis) -> bool:
    return (first.token_ids, first.starts, first.ends) == (second.token_ids, second.starts, second.ends) and (
        np.allclose(first.log_probs, second.log_probs, rtol=0, atol=1e-12)
    )


@pytest.mark.parametrize("seed", range(10))
def test_batch_equals_the_reference_one_at_a_time(seed: int) -> None:
    log_probs, lengths = ragged(seed)
    hypotheses = greedy(log_probs, lengths, BLANK)
    assert len(hypotheses) == len(lengths)
    for hypothesis, item, length in zip(hypotheses, log_probs, lengths, strict=True):
        assert hypothesis == alone(item[:length])
        assert same(hypothesis, reference(item[:length]))


@pytest.mark.parametrize("seed", range(5))
def test_frames_past_the_end_are_ignored(seed: int) -> None:
    log_probs, lengths = ragged(seed)
    noisy = log_probs.copy()
    for item, length in enumerate(lengths):
        noisy[item, length:] = np.random.default_rng(seed).permutation([np.nan, np.inf, -np.inf, 0, 7])
    assert greedy(noisy, lengths, BLANK) == greedy(log_probs, lengths, BLANK)


@pytest.mark.parametrize("seed", range(5))
def test_spans_are_disjoint_within_the_item_and_have_the_best_label(seed: int) -> None:
    log_probs, lengths = ragged(seed)
    for item, length, hypothesis in zip(log_probs, lengths, greedy(log_probs, lengths, BLANK), strict=True):
        last_end, last_token = 0, None
        spans = zip(hypothesis.token_ids, hypothesis.starts, hypothesis.ends, strict=True)
        for token_id, start, end in spans:
            assert last_end <= start < end <= length
            assert token_id != BLANK
            assert (item[start:end].argmax(-1) == token_id).all()
            assert start > last_end or token_id != last_token or last_token is None
            last_end, last_token = end, token_id
        best = item[:length].argmax(-1)
        assert sum(hypothesis.ends) - sum(hypothesis.starts) == (best != BLANK).sum()


@pytest.mark.parametrize("seed", range(5))
def test_repeated_frames_never_change_the_tokens(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, VOCAB, 30)
    stretched = np.repeat(labels, rng.integers(1, 4, 30)).tolist()
    assert alone(emission(stretched, seed)).token_ids == alone(emission(labels.tolist(), seed)).token_ids


@pytest.mark.parametrize("seed", range(5))
def test_blanks_between_different_labels_never_change_the_tokens(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, VOCAB, 30).tolist()
    padded = []
    for label, following in zip(labels, [*labels[1:], BLANK], strict=True):
        padded.append(label)
        if label != following:  # between equal labels a blank makes two tokens of one
            padded.extend([BLANK] * rng.integers(0, 3))
    assert alone(emission(padded, seed)).token_ids == alone(emission(labels, seed)).token_ids


def test_a_blank_between_equal_labels_makes_two_tokens() -> None:
    assert alone(emission([1, 1])).token_ids == (1,)
    assert alone(emission([1, BLANK, 1])).token_ids == (1, 1)


@pytest.mark.parametrize("seed", range(5))
def test_greedy_is_the_most_probable_of_all_paths(seed: int) -> None:
    log_probs = log_softmax(np.random.default_rng(seed).normal(0, 1, (5, 3)).astype(np.float32))
    paths = product(range(3), repeat=5)
    best = max(paths, key=lambda path: sum(log_probs[frame, label] for frame, label in enumerate(path)))
    collapsed = tuple(label for label, _ in groupby(best) if label != BLANK)
    assert alone(log_probs).token_ids == collapsed


@pytest.mark.parametrize("shape", [(3, 0, VOCAB), (0, 4, VOCAB), (0, 0, VOCAB)])
def test_empty_input_gives_empty_output(shape: tuple[int, int, int]) -> None:
    lengths = np.zeros(shape[0], np.int64)
    assert greedy(np.zeros(shape, np.float32), lengths, BLANK) == [Hypothesis()] * shape[0]


def test_only_blanks_give_an_empty_hypothesis() -> None:
    assert alone(emission([BLANK] * 6)) == Hypothesis()


@pytest.mark.parametrize("labels", [[1], [1, 3], [1, BLANK], [BLANK, 1], [1, 1, 3, 3, 3]])
def test_tokens_at_both_edges_have_their_frames(labels: list[int]) -> None:
    log_probs = emission(labels)
    assert same(alone(log_probs), reference(log_probs))


def test_items_of_a_batch_are_not_merged() -> None:
    log_probs = np.stack([emission([BLANK, 1, 1]), emission([1, 1, BLANK])])
    first, second = greedy(log_probs, np.array([3, 3]), BLANK)
    assert (first.starts, first.ends) == ((1,), (3,))
    assert (second.starts, second.ends) == ((0,), (2,))


def test_the_score_is_the_mean_over_the_span() -> None:
    log_probs = np.full((3, VOCAB), -9, np.float32)
    log_probs[:, 4] = [-0.5, -1.0, -1.5]
    assert alone(log_probs).log_probs == (-1.0,)


def test_ids_with_one_canonical_id_are_merged_and_may_be_blank() -> None:
    log_probs = emission([0, 1, 3, BLANK, 4, 1, 4])[None]
    [hypothesis] = greedy(log_probs, np.array([7]), BLANK, canonical_ids=(0, 0, BLANK, 3, BLANK))
    assert hypothesis.token_ids == (0, 3, 0)
    assert (hypothesis.starts, hypothesis.ends) == ((0, 2, 5), (2, 3, 6))


def test_everything_is_a_plain_python_number() -> None:
    hypothesis = alone(emission([1, 1, 3]))
    assert {type(value) for value in (*hypothesis.token_ids, *hypothesis.starts, *hypothesis.ends)} == {int}
    assert {type(value) for value in hypothesis.log_probs} == {float}


def test_greedy_is_in_the_registry() -> None:
    assert DECODERS["greedy"] is Greedy


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_log_softmax_is_normalised_and_stable(dtype: type[np.floating]) -> None:
    logits = np.array([[[1e4, -1e4, 0.0], [3.0, 3.0, 3.0]], [[-6e4, -6e4, -6e4], [60.0, 0.0, -60.0]]], dtype)
    log_probs = log_softmax(logits)
    assert log_probs.dtype == np.float32
    assert np.isfinite(log_probs).all()
    np.testing.assert_allclose(np.exp(log_probs, dtype=np.float64).sum(-1), 1, rtol=1e-6)
    np.testing.assert_array_equal(log_probs.argmax(-1), logits.argmax(-1))


def test_log_softmax_agrees_with_float64() -> None:
    logits = np.random.default_rng(0).normal(0, 5, (11, 32)).astype(np.float32)
    exact = logits - np.log(np.exp(logits.astype(np.float64)).sum(-1, keepdims=True))
    np.testing.assert_allclose(log_softmax(logits), exact, rtol=0, atol=5e-6)


def test_log_softmax_of_no_frames() -> None:
    assert log_softmax(np.zeros((2, 0, 3), np.float32)).shape == (2, 0, 3)


def parts(rng: np.random.Generator, frames: int) -> list[slice]:
    """Return a number of frames cut anywhere, also into empty parts."""
    edges = [0, *sorted(rng.integers(0, frames + 1, rng.integers(0, 6)).tolist()), frames]
    return [slice(first, last) for first, last in pairwise(edges)]


@pytest.mark.parametrize("seed", range(40))
def test_where_frames_are_split_never_matters_and_settled_tokens_stay(seed: int, letters: Vocabulary) -> None:
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.integers(0, 4, 30), rng.integers(1, 4, 30))
    log_probs = emission(labels.tolist())
    state, settled = Greedy().start(letters), ()
    for part in parts(rng, len(log_probs)):
        state.advance(log_probs[part])
        [offline] = Greedy().decode(log_probs[None, : part.stop], np.array([part.stop]), letters)
        assert state.best() == offline
        assert state.best().token_ids[: len(settled)] == settled
        settled = offline.token_ids[: state.settled()]
        assert len(settled) >= len(offline.token_ids) - 1


def test_a_copy_is_independent(letters: Vocabulary) -> None:
    log_probs = emission([1, 1, BLANK, 3, 3, 2])
    state = Greedy().start(letters)
    state.advance(log_probs[:4])
    before = state.best()
    what_if = state.copy()
    what_if.advance(log_probs[4:])
    [whole] = Greedy().decode(log_probs[None], np.array([len(log_probs)]), letters)
    assert (state.best(), what_if.best()) == (before, whole)
    state.advance(log_probs[4:])
    assert state.best() == whole
