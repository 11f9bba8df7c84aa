"""`greedy` + `Vocabulary.text` against the original's `Wav2Vec2CTCTokenizer.decode`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unicodedata import category

import numpy as np
import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import Wav2Vec2CTCTokenizer

from sewd_export.checkpoint.vocabulary import read_vocabulary
from sewd_export.errors import CheckpointReadError, TokenizerError, UnsupportedConfigError
from sewd_runtime.bundle.manifest import CtcEntry
from sewd_runtime.decode import greedy
from sewd_runtime.text.vocabulary import Vocabulary

NEWEST = int(transformers.__version__.split(".")[0]) >= 5

SPECIAL = ["<pad>", "<unk>", "<s>", "</s>", "|"]
# Letters, what `clean_up_tokenization` and `strip` look for, a case that lower() lengthens, long tokens.
PLAIN = [*"ABab|'.,?! \t", "N'T", "'m", " ,", "İ", "ß", "\u2003", "ING", "A|", "é", "None", "<pad>A"]


def write_tokenizer(folder: Path, vocab: dict[str, Any], config: dict[str, Any], **files: Any) -> Path:
    for name, content in {"vocab": vocab, "tokenizer_config": config, **files}.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def original(folder: Path) -> Any:
    return Wav2Vec2CTCTokenizer.from_pretrained(str(folder), local_files_only=True)


def greedy_text(vocabulary: Vocabulary, labels: list[int], num_outputs: int) -> str:
    log_probs = np.full((1, len(labels), num_outputs), -5, np.float32)
    log_probs[0, np.arange(len(labels)), labels] = 0
    [hypothesis] = greedy(
        log_probs, np.array([len(labels)]), vocabulary.blank_id, canonical_ids=vocabulary.canonical_ids
    )
    return vocabulary.text(hypothesis.token_ids)


@st.composite
def tokenizers(draw: st.DrawFn) -> tuple[dict[str, int], dict[str, Any]]:
    """A vocab.json and a tokenizer_config.json, both as odd as they come."""
    names = draw(st.lists(st.sampled_from([*SPECIAL, *PLAIN]), unique=True, min_size=1, max_size=12))
    ids = draw(
        st.lists(st.integers(0, 16), unique=draw(st.booleans()), min_size=len(names), max_size=len(names))
    )
    if draw(st.booleans()):
        ids = list(range(len(names)))
    any_token = st.sampled_from([*SPECIAL, *PLAIN, "[NEW]"])
    config: dict[str, Any] = {
        "tokenizer_class": "Wav2Vec2CTCTokenizer",
        "pad_token": draw(st.one_of(st.sampled_from(names), any_token)),
        "unk_token": draw(any_token),
        "do_lower_case": draw(st.booleans()),
    }
    if draw(st.booleans()):
        config["clean_up_tokenization_spaces"] = draw(st.booleans())
    if draw(st.booleans()):
        config["word_delimiter_token"] = draw(st.one_of(st.none(), any_token))
    if draw(st.booleans()):
        added = draw(st.dictionaries(st.integers(0, 24), any_token, max_size=4))
        config["added_tokens_decoder"] = {
            str(token_id): {"content": token, "special": draw(st.booleans()), "normalized": False}
            for token_id, token in added.items()
        }
    return dict(zip(names, ids, strict=True)), config


@given(tokenizer=tokenizers(), spare=st.integers(0, 3), data=st.data())
@settings(max_examples=400, deadline=None, derandomize=True)
def test_the_text_of_any_labels_is_the_original_one(
    tokenizer: tuple[dict[str, int], dict[str, Any]], spare: int, data: st.DataObject
) -> None:
    with TemporaryDirectory() as name:
        folder = write_tokenizer(Path(name), *tokenizer)
        reference = original(folder)
        try:
            tokens, ctc = read_vocabulary(folder, blank_id=None)
        except TokenizerError:
            # Refused for a reason: no id is read as the pad token, two ids are read as one token, or a token
            # has a control character, which a bundle cannot hold.
            ids = sorted({*reference.decoder, *reference.added_tokens_decoder})
            names = reference.convert_ids_to_tokens(ids)
            has_control = any(category(one) == "Cc" for token in names for one in token)
            assert reference.pad_token not in names or len(set(names)) < len(names) or has_control
            return

    num_outputs = data.draw(st.sampled_from([max(tokens.values()) + 1, ctc.blank_id + 1])) + spare
    labels = data.draw(st.lists(st.integers(0, num_outputs - 1), max_size=30))
    vocabulary = Vocabulary.from_manifest(tokens, ctc, num_outputs)
    assert greedy_text(vocabulary, labels, num_outputs) == reference.decode(labels)

    ids = data.draw(st.lists(st.integers(0, num_outputs + 50), max_size=30))
    assert vocabulary.text(ids) == reference.decode(ids, group_tokens=False)


PUBLISHED = {letter: index for index, letter in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", *"EITS"])}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The files of a checkpoint like the published ones."""
    return write_tokenizer(
        tmp_path,
        PUBLISHED,
        {"tokenizer_class": "Wav2Vec2CTCTokenizer", "do_lower_case": False, "word_delimiter_token": "|"},
        special_tokens_map={"pad_token": "<pad>", "unk_token": "<unk>"},
    )


def test_a_published_vocabulary(published: Path) -> None:
    tokens, ctc = read_vocabulary(published, blank_id=0)
    assert tokens == PUBLISHED
    assert ctc == CtcEntry(
        blank_id=0, unknown_token="<unk>", word_delimiter="|", do_lower_case=False, clean_up_spaces=False
    )


def test_vocab_json_alone_is_enough(published: Path) -> None:
    full = read_vocabulary(published, blank_id=0)
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        (published / file).unlink()
    assert read_vocabulary(published, blank_id=0) == full


def test_added_tokens_of_both_formats_are_in_the_vocabulary(tmp_path: Path) -> None:
    vocab = {"A": 0, "|": 1, "[PAD]": 2, "[UNK]": 3}
    config = {"pad_token": "[PAD]", "unk_token": "[UNK]", "bos_token": None, "eos_token": None}
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    decoder = {"4": {"content": "[NOISE]", "special": False, "normalized": False}}
    write_tokenizer(new, vocab, {**config, "added_tokens_decoder": decoder})
    write_tokenizer(old, vocab, config, added_tokens={"[NOISE]": 4})
    for folder in (old, new):
        tokens, ctc = read_vocabulary(folder, blank_id=2)
        assert tokens == {**vocab, "[NOISE]": 4}
        assert Vocabulary.from_manifest(tokens, ctc, 5).text([0, 1, 4]) == "A [NOISE]"


def test_an_added_token_on_the_id_of_another() -> None:
    """The newest transformers reads the vocabulary's token, older ones the added one; we follow suit.

    Here `<s>` is not in the vocabulary and is added at its length, 4, which is the id of B.
    """
    with TemporaryDirectory() as name:
        folder = write_tokenizer(Path(name), {"<pad>": 0, "<unk>": 1, "|": 2, "B": 4}, {"eos_token": None})
        tokens, ctc = read_vocabulary(folder, blank_id=0)
        text = Vocabulary.from_manifest(tokens, ctc, 5).text([4])
        assert text == original(folder).decode([4])
        assert text == ("B" if NEWEST else "<s>")


def test_without_a_word_delimiter_there_is_none(tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path, {"<pad>": 0, "A": 1}, {"word_delimiter_token": None})
    tokens, ctc = read_vocabulary(folder, blank_id=0)
    assert ctc.word_delimiter is None
    assert Vocabulary.from_manifest(tokens, ctc, 2).text([1, 1]) == original(folder).decode([1, 0, 1]) == "AA"


def test_missing_vocab_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"needs vocab\.json"):
        read_vocabulary(tmp_path, blank_id=0)


@pytest.mark.parametrize("content", ["{", "[1]", '{"A": "B"}', '{"en": {"A": 0}}', '{"<pad>": 0, "A": -1}'])
def test_a_bad_vocab_json_is_named(published: Path, content: str) -> None:
    (published / "vocab.json").write_text(content)
    with pytest.raises(TokenizerError, match=r"vocab|tokenizer"):
        read_vocabulary(published, blank_id=0)


def test_a_bad_tokenizer_config_is_named(published: Path) -> None:
    (published / "tokenizer_config.json").write_text("[]")
    with pytest.raises(CheckpointReadError, match=r"tokenizer_config\.json"):
        read_vocabulary(published, blank_id=0)


@pytest.mark.parametrize(
    "change", [{"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer"}, {"replace_word_delimiter_char": "_"}]
)
def test_what_cannot_be_honoured_is_refused_by_name(published: Path, change: dict[str, str]) -> None:
    write_tokenizer(published, PUBLISHED, change)
    with pytest.raises(UnsupportedConfigError, match=next(iter(change))):
        read_vocabulary(published, blank_id=0)


def test_two_opinions_on_the_blank_are_refused(published: Path) -> None:
    with pytest.raises(TokenizerError, match=r"blank is 3 \(pad_token_id\).* 0 \('<pad>'\)"):
        read_vocabulary(published, blank_id=3)


def test_one_token_with_two_ids_is_refused(published: Path) -> None:
    decoder = {"30": {"content": "E", "special": False, "normalized": False}}
    write_tokenizer(published, PUBLISHED, {"added_tokens_decoder": decoder})
    with pytest.raises(TokenizerError, match=r"\['E'\]"):
        read_vocabulary(published, blank_id=0)


def test_of_two_tokens_with_one_id_the_one_that_is_read_is_kept(published: Path) -> None:
    write_tokenizer(published, {**PUBLISHED, "Z": PUBLISHED["E"]}, {})
    tokens, _ = read_vocabulary(published, blank_id=0)
    assert tokens["Z"] == PUBLISHED["E"]
    assert "E" not in tokens
    assert original(published).decode([PUBLISHED["E"]]) == "Z"


def test_a_vocabulary_for_one_language_of_many(tmp_path: Path) -> None:
    vocab = {"en": PUBLISHED, "fr": {**PUBLISHED, "É": 9}}
    folder = write_tokenizer(tmp_path, vocab, {"target_lang": "fr"})
    tokens, _ = read_vocabulary(folder, blank_id=0)
    assert tokens == vocab["fr"]


def test_the_entry_has_the_documented_fields() -> None:
    fields = {field.name for field in dataclasses.fields(CtcEntry)}
    assert fields == {"blank_id", "unknown_token", "word_delimiter", "do_lower_case", "clean_up_spaces"}
