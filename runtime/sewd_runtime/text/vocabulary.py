"""Token ids to text, exactly as ``Wav2Vec2CTCTokenizer.decode`` in transformers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sewd_runtime.errors import VocabularyError

if TYPE_CHECKING:
    from sewd_runtime.bundle.manifest import CtcEntry

# In this order; the same pairs as transformers' `clean_up_tokenization`.
_CLEAN_UP = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The tokens of a CTC model's outputs.

    blank_id: the CTC blank.
    word_delimiter_id: the token that separates words, the manifest's or else a space; None: there is neither.
    canonical_ids: (vocab,), the id of each output when repeats are merged: its own, except that all outputs
        without a token share one, because they are written as the unknown token.
    pieces: the text of each token id, including tokens that the model cannot output.
    unknown_piece: the text of an id without a token; None when there is no unknown token.
    """

    blank_id: int
    word_delimiter_id: int | None
    canonical_ids: tuple[int, ...]
    pieces: Mapping[int, str]
    unknown_piece: str | None
    do_lower_case: bool
    clean_up_spaces: bool

    @classmethod
    def from_manifest(cls, tokens: Mapping[str, int], ctc: "CtcEntry", num_outputs: int) -> "Vocabulary":
        """Build it from vocab.json (token → id), the manifest's `ctc` and its `num_outputs`.

        Raises VocabularyError: two tokens share an id, the blank is not an output with a token, or an output
        has neither a token of its own nor an unknown token.
        """
        token_by_id = {token_id: token for token, token_id in tokens.items()}
        if len(token_by_id) < len(tokens):
            shared = sorted(token for token, token_id in tokens.items() if token_by_id[token_id] != token)
            raise VocabularyError(f"vocab.json: {shared[:10]} have the ids of other tokens; export it again")
        if not 0 <= ctc.blank_id < num_outputs or ctc.blank_id not in token_by_id:
            raise VocabularyError(
                f"bundle.json: ctc.blank_id is {ctc.blank_id}, which must be an id in vocab.json and one of "
                f"the model's outputs 0 to {num_outputs - 1}; export it again"
            )

        def piece(token: str) -> str:
            if token == token_by_id[ctc.blank_id]:
                return ""
            return " " if token == ctc.word_delimiter else token

        delimiters = [tokens[one] for one in (ctc.word_delimiter or " ", " ") if one in tokens]
        return cls(
            blank_id=ctc.blank_id,
            word_delimiter_id=delimiters[0] if delimiters else None,
            canonical_ids=_canonical_ids(tokens, token_by_id, ctc.unknown_token, num_outputs),
            pieces={token_id: piece(token) for token_id, token in token_by_id.items()},
            unknown_piece=None if ctc.unknown_token is None else piece(ctc.unknown_token),
            do_lower_case=ctc.do_lower_case,
            clean_up_spaces=ctc.clean_up_spaces,
        )

    def piece(self, token_id: int) -> str:
        """Return the text of one token of the outputs."""
        return self.pieces.get(token_id, self.unknown_piece or "")

    def text(self, token_ids: Sequence[int]) -> str:
        """Return the text of token ids whose repeats are merged.

        Raises VocabularyError: an id has no token, and there is no unknown token.
        """
        pieces = [self.pieces.get(token_id, self.unknown_piece) for token_id in token_ids]
        if None in pieces:
            nameless = token_ids[pieces.index(None)]
            raise VocabularyError(f"no token has the id {nameless}, and there is no unknown token")
        text = "".join(filter(None, pieces)).strip()
        if self.do_lower_case:
            text = text.lower()
        if self.clean_up_spaces:
            for before, after in _CLEAN_UP:
                text = text.replace(before, after)
        return text

    def count_whole_words(self, token_ids: Sequence[int]) -> int:
        """Return the number of tokens up to the last word delimiter, which is included."""
        delimiter = self.word_delimiter_id
        return max((count for count, token in enumerate(token_ids, 1) if token == delimiter), default=0)


def _canonical_ids(
    tokens: Mapping[str, int], token_by_id: Mapping[int, str], unknown_token: str | None, num_outputs: int
) -> tuple[int, ...]:
    """Return ``Vocabulary.canonical_ids``."""
    nameless = [token_id for token_id in range(num_outputs) if token_id not in token_by_id]
    if not nameless:
        return tuple(range(num_outputs))
    if unknown_token is None:
        raise VocabularyError(
            f"vocab.json has no tokens for the outputs {nameless[:10]}, and there is no unknown token; "
            "add them to the checkpoint's vocabulary and export again"
        )
    unknown_id = tokens.get(unknown_token, nameless[0])
    return tuple(token_id if token_id in token_by_id else unknown_id for token_id in range(num_outputs))
