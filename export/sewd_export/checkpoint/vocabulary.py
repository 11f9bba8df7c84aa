"""What the runtime needs from a checkpoint's tokenizer files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from transformers import Wav2Vec2CTCTokenizer

from sewd_export.checkpoint.config import one_line, read_json, refuse_pointer
from sewd_export.errors import CheckpointReadError, TokenizerError, UnsupportedConfigError
from sewd_runtime.bundle.manifest import CtcEntry
from sewd_runtime.system.terminal import has_controls
from sewd_runtime.text.vocabulary import Vocabulary

# transformers takes a second for a thousand tokens of several characters, and grows with their square.
_MAX_TOKENS, _MAX_LONG_TOKENS = 100_000, 4_000

# Both decode in the same way.
_TOKENIZERS = frozenset({"Wav2Vec2CTCTokenizer", "Wav2Vec2Tokenizer"})


class CtcVocabulary(NamedTuple):
    """The vocabulary of a CTC checkpoint: token → id, and the manifest's entry `ctc`."""

    tokens: dict[str, int]
    ctc: CtcEntry

    def for_outputs(self, num_outputs: int) -> Vocabulary:
        """Return it as the runtime decodes with it; raises VocabularyError."""
        return Vocabulary.from_manifest(self.tokens, self.ctc, num_outputs)


def read_vocabulary(folder: Path, *, blank_id: int | None) -> CtcVocabulary:
    """Read the vocabulary of a CTC checkpoint.

    folder: with vocab.json, and often tokenizer_config.json, added_tokens.json and special_tokens_map.json.
    blank_id: `pad_token_id` of config.json; None takes the tokenizer's pad token.

    Each id has the token that the original decodes it to; where two tokens share an id, the one that is read.
    Raises TokenizerError, UnsupportedConfigError.
    """
    tokenizer = _load(folder)
    if tokenizer.replace_word_delimiter_char != " ":
        raise UnsupportedConfigError(
            f"{folder / 'tokenizer_config.json'}: replace_word_delimiter_char is "
            f"{tokenizer.replace_word_delimiter_char!r:.99}; only a space is supported"
        )
    tokens = _tokens(tokenizer, folder)
    # transformers reads "None" as the delimiter when none is set: null unless there is a token of that name.
    delimiter = tokenizer.word_delimiter_token
    ctc = CtcEntry(
        blank_id=_blank_id(tokenizer, tokens, blank_id, folder),
        unknown_token=tokenizer.unk_token,
        word_delimiter=delimiter if delimiter in {*tokens, tokenizer.unk_token} else None,
        do_lower_case=bool(tokenizer.do_lower_case),
        clean_up_spaces=bool(tokenizer.clean_up_tokenization_spaces),
    )
    return CtcVocabulary(tokens, ctc)


def _load(folder: Path) -> Any:
    if not (folder / "vocab.json").is_file():
        raise TokenizerError(f"{folder}: a CTC model needs vocab.json; copy it from the fine-tuning run")
    config_file = folder / "tokenizer_config.json"
    options = read_json(config_file) if config_file.is_file() else {}
    kind = options.get("tokenizer_class")
    if kind is not None and not (isinstance(kind, str) and kind in _TOKENIZERS):
        raise UnsupportedConfigError(
            f"{config_file}: tokenizer_class is {kind!r:.99}; supported are {', '.join(sorted(_TOKENIZERS))}"
        )
    _check_entries(folder, options)
    try:
        return Wav2Vec2CTCTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # any error that a bad file caused inside transformers
        raise TokenizerError(f"{folder}: the tokenizer files cannot be read: {one_line(error)}") from error


def _check_entries(folder: Path, options: Mapping[str, Any]) -> None:
    """Raise TokenizerError for files that hold no tokens, or more than transformers reads in a minute, and
    for several vocabularies of which tokenizer_config.json (``options``) chooses none."""
    files = [path for name in ("vocab.json", "added_tokens.json") if (path := folder / name).is_file()]
    for path in files:
        refuse_pointer(path)
    try:
        entries = [entry for path in files for entry in read_json(path).items()]
    except CheckpointReadError as error:
        raise TokenizerError(str(error)) from error
    nested = [token for token, token_id in entries if isinstance(token_id, dict)]
    if nested and options.get("target_lang") is None:
        raise TokenizerError(
            f"{folder / 'vocab.json'}: a vocabulary for each language, e.g. {nested[0]!r:.40}; write that of "
            "the language whose weights these are, alone"
        )
    added = options.get("added_tokens_decoder")
    count = len(added) if isinstance(added, dict) else 0
    longer = count + sum(len(token) > 1 for token, _ in entries)
    if count + len(entries) > _MAX_TOKENS or longer > _MAX_LONG_TOKENS:
        raise TokenizerError(
            f"{folder}: {count + len(entries)} tokens, {longer} of them of several characters; at most "
            f"{_MAX_TOKENS} and {_MAX_LONG_TOKENS} are supported: is it the vocab.json of this CTC model?"
        )


def _tokens(tokenizer: Any, folder: Path) -> dict[str, int]:
    known = {*tokenizer.decoder, *tokenizer.added_tokens_decoder}
    if not all(isinstance(token_id, int) and token_id >= 0 for token_id in known):
        raise TokenizerError(f"{folder / 'vocab.json'}: every id must be a whole number, 0 or greater")
    ids = sorted(known)
    names = tokenizer.convert_ids_to_tokens(ids)
    tokens = dict(zip(names, ids, strict=True))
    if refused := [token for token, token_id in tokens.items() if has_controls(str(token))]:
        raise TokenizerError(
            f"{folder / 'vocab.json'}: {len(refused)} tokens have control characters, e.g. "
            f"{refused[0]!a:.40}; rename them ('|' is the usual word delimiter)"
        )
    if len(tokens) < len(ids):
        twice = sorted(str(name) for name, count in Counter(names).items() if count > 1)
        raise TokenizerError(
            f"{folder}: {twice!s:.99} have two ids each; rename one of them in vocab.json or "
            "in the added tokens"
        )
    return tokens


def _blank_id(tokenizer: Any, tokens: dict[str, int], blank_id: int | None, folder: Path) -> int:
    pad_token = tokenizer.pad_token
    if pad_token is None or pad_token not in tokens:
        raise TokenizerError(f"{folder}: the vocabulary has no pad token, which is the CTC blank")
    if blank_id is not None and blank_id != tokens[pad_token]:
        raise TokenizerError(
            f"{folder}: config.json says the blank is {blank_id!s:.99} (pad_token_id), the tokenizer says "
            f"{tokens[pad_token]} ({pad_token!r:.99}); correct the one that is wrong"
        )
    return tokens[pad_token]
