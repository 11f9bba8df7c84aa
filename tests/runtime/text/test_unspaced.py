"""Law: in text without spaces characters are the words, in transcripts, subtitles and streams alike."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sewd_runtime.bundle.manifest import CtcEntry
from sewd_runtime.decode import Greedy, Hypothesis, log_softmax
from sewd_runtime.decode.lexicon import compile_lexicon
from sewd_runtime.errors import LexiconError
from sewd_runtime.streaming.committing import Committer
from sewd_runtime.text.cues import CUE_LIMITS, CueLimits, find_cues
from sewd_runtime.text.formats import as_tsv
from sewd_runtime.text.frames import FrameClock
from sewd_runtime.text.scripts import columns, is_unspaced, join_texts
from sewd_runtime.text.transcript import Transcript, Word
from sewd_runtime.text.vocabulary import Vocabulary

SIGNS = "今天我们学习语音识别がカ\u3099、ก\u0e31OK"
CLOCK = FrameClock(stride=320, sample_rate_hz=16_000)


def vocabulary(delimiter: str | None) -> Vocabulary:
    ctc = CtcEntry(
        blank_id=0,
        unknown_token=None,
        word_delimiter=delimiter,
        do_lower_case=False,
        clean_up_spaces=False,
    )
    tokens = ["<pad>", delimiter or "x", *SIGNS]
    return Vocabulary.from_manifest({one: id_ for id_, one in enumerate(tokens)}, ctc, len(tokens))


def transcript(text: str, words: Vocabulary, frames_apart: int = 10) -> Transcript:
    ids = tuple(1 if one == " " else 2 + SIGNS.index(one) for one in text)
    starts = tuple(frames_apart * place for place in range(len(ids)))
    hypothesis = Hypothesis(
        token_ids=ids,
        starts=starts,
        ends=tuple(start + 2 for start in starts),
        log_probs=tuple(-0.01 * place for place in range(len(ids))),
    )
    return Transcript.from_hypothesis(hypothesis, vocabulary=words, clock=CLOCK, duration_s=1e6)


@pytest.mark.parametrize(
    ("delimiter", "text", "expected"),
    [
        (None, "今天OK", "今 天 O K"),
        (None, "カ\u3099、天", "カ\u3099、 天"),
        ("|", "今天OK我ก\u0e31", "今 天 OK 我 ก\u0e31"),
        ("|", "OK", "OK"),
        ("|", "今天 我们", "今天 我们"),
        ("|", " 今天 ", "今 天"),
        ("|", f"OK {'今天我们学习' * 3}", f"OK {' '.join('今天我们学习' * 3)}"),
    ],
)
def test_characters_are_words_where_no_space_is_written(
    delimiter: str | None, text: str, expected: str
) -> None:
    words = transcript(text, vocabulary(delimiter)).words
    assert [word.text for word in words] == expected.split(" ")
    assert all(before.end_s <= after.start_s for before, after in pairwise(words))


@given(
    st.text(SIGNS, min_size=1, max_size=150), st.sampled_from(["|", None]), st.integers(1, 40), st.booleans()
)
def test_subtitles_keep_every_character_and_the_limits(
    text: str, delimiter: str | None, frames_apart: int, is_narrow: bool
) -> None:
    limits = CueLimits(line_characters=10) if is_narrow else CUE_LIMITS
    # a mark or a sign at the very beginning has no character to belong to
    result = transcript(
        "今" + text.replace("O", "今").replace("K", "天"), vocabulary(delimiter), frames_apart
    )
    cues = find_cues(result, limits)
    assert "".join(line for cue in cues for line in cue.lines) == result.text
    longest = max(columns(word.text) for word in result.words)
    for cue in cues:
        assert len(cue.lines) <= limits.lines
        assert all(columns(line) <= max(limits.line_characters, longest) for line in cue.lines)
    rows = as_tsv(result, limits).splitlines()[1:]
    assert "".join(row.split("\t")[2] for row in rows) == result.text


def test_a_long_pause_ends_a_cue_between_characters() -> None:
    assert len(find_cues(transcript("今天我", vocabulary(None), 80))) == 3


@pytest.mark.parametrize("delimiter", ["|", None])
@pytest.mark.parametrize("block", [1, 7, 1000])
def test_a_stream_commits_characters_and_never_changes_them(delimiter: str | None, block: int) -> None:
    words = vocabulary(delimiter)
    ids = np.array([2 + SIGNS.index(one) for one in "今天我们カ\u3099学习" * 3])
    labels = np.stack([ids, np.zeros_like(ids)], axis=1).ravel()
    logits = np.full((len(labels), len(words.canonical_ids)), -9.0, np.float32)
    logits[np.arange(len(labels)), labels] = 9.0
    committer = Committer(Greedy(), words, CLOCK)
    committed: list[Word] = []
    log_probs = log_softmax(logits)
    for begin in range(0, len(labels), block):
        committed += committer.advance(log_probs[begin : begin + block])
    if block < 10:
        assert len(committed) > 15
    committed += committer.finish()
    assert [word.text for word in committed] == [*"今天我们", "カ\u3099", *"学习"] * 3
    assert [round(word.start_s / 0.02) for word in committed] == [
        2 * place for place, label in enumerate(ids) if label != 2 + SIGNS.index("\u3099")
    ]


def test_texts_are_joined_as_they_are_written() -> None:
    assert join_texts(["今天", "我们", "OK", "GO", "今"]) == "今天我们 OK GO 今"
    assert join_texts(["今天 我", "们"]) == "今天 我 们"
    assert join_texts([]) == ""
    assert [is_unspaced(one) for one in ("语", "が", "ก", "한", "é", "")] == [True] * 3 + [False] * 3


def test_a_lexicon_of_joined_words_that_is_too_large_is_refused_at_once() -> None:
    """Any word may follow each: 20,000 words would take minutes and gigabytes."""
    words = [(1 + i % 2500, 1 + i // 8) for i in range(20_000)]
    with pytest.raises(
        LexiconError, match=r"^20000 words .* begun by 2500 tokens: .* at most 10000000; give fewer"
    ):
        compile_lexicon(words, vocab=5000, word_delimiter_id=None, joined=words)
    assert len(compile_lexicon(words[:50], vocab=5000, word_delimiter_id=None, joined=words[:50]).next) > 50
