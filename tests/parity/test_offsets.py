"""Times of words and characters against the offsets of the original's `Wav2Vec2CTCTokenizer.decode`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import Wav2Vec2CTCTokenizer

from sewd_export.checkpoint.vocabulary import read_vocabulary
from sewd_runtime.decode import align_tokens, greedy, log_softmax
from sewd_runtime.text.frames import FrameClock
from sewd_runtime.text.transcript import Transcript
from sewd_runtime.text.vocabulary import Vocabulary

STRIDE, RATE = 320, 16_000
FRAME_S = STRIDE / RATE
TOKENS = {token: index for index, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", *"ABE'"])}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Vocabulary]:
    """The original, and ours of the same files."""
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    config = {"tokenizer_class": "Wav2Vec2CTCTokenizer", "do_lower_case": False, "word_delimiter_token": "|"}
    for name, content in (("vocab", TOKENS), ("tokenizer_config", config)):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    tokens, ctc = read_vocabulary(folder, blank_id=0)
    reference = Wav2Vec2CTCTokenizer.from_pretrained(str(folder), local_files_only=True)
    return reference, Vocabulary.from_manifest(tokens, ctc, len(tokens))


def transcript_of(hypothesis: Any, vocabulary: Vocabulary, frames: int) -> Transcript:
    return Transcript.from_hypothesis(
        hypothesis,
        vocabulary=vocabulary,
        clock=FrameClock(stride=STRIDE, sample_rate_hz=RATE),
        duration_s=(frames + 1) * FRAME_S,
        characters=True,
    )


@given(labels=st.lists(st.sampled_from([0, 0, *TOKENS.values()]), max_size=60), seed=st.integers(0, 99))
@settings(max_examples=400, deadline=None, derandomize=True)
def test_times_are_the_original_offsets(
    tokenizer: tuple[Any, Vocabulary], labels: list[int], seed: int
) -> None:
    reference, vocabulary = tokenizer
    expected = reference.decode(labels, output_char_offsets=True, output_word_offsets=True)
    logits = np.random.default_rng(seed).normal(0, 1, (len(labels), len(TOKENS)))
    logits[np.arange(len(labels)), labels] += 20
    log_probs = log_softmax(logits)
    [best] = greedy(log_probs[None], np.array([len(labels)]), vocabulary.blank_id)
    aligned = align_tokens(log_probs, best.token_ids, blank_id=vocabulary.blank_id)
    for hypothesis in (best, aligned):
        found = transcript_of(hypothesis, vocabulary, len(labels))
        assert found.text == expected.text
        characters = [one for word in found.words for one in word.characters]
        for ours, offsets, name in (
            (found.words, expected.word_offsets, "word"),
            (characters, [one for one in expected.char_offsets if one["char"] != " "], "char"),
        ):
            assert [one.text for one in ours] == [one[name] for one in offsets]
            for one, offset in zip(ours, offsets, strict=True):
                assert one.start_s == pytest.approx(offset["start_offset"] * FRAME_S, abs=1e-9)
                assert one.end_s == pytest.approx(offset["end_offset"] * FRAME_S, abs=1e-9)
