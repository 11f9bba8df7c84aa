"""Lexicon, hotwords and language model of a beam search, as automata over a vocabulary's tokens."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sewd_runtime.decode.automata import Automaton, Table
from sewd_runtime.decode.hotwords import compile_hotwords
from sewd_runtime.decode.lexicon import compile_lexicon
from sewd_runtime.decode.lm.model import LanguageModel, choose_case
from sewd_runtime.decode.lm.scores import CharacterScores, WeightedModel, WordScores
from sewd_runtime.errors import DecodingError, HotwordError, LexiconError, TextError
from sewd_runtime.text.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What is the same for all utterances: tables, and the case in which the language model has its words."""

    tables: tuple[Table, ...]
    case: Callable[[str], str]


def compile_tables(
    vocabulary: Vocabulary,
    *,
    vocab: int,
    lm: LanguageModel | None,
    lexicon: Collection[str] | None,
    hotwords: Mapping[str, float],
) -> Compiled:
    """Return the tables of the lexicon and hotwords, and the language model's case. Raises DecodingError."""
    tables = []
    if lexicon is not None:
        words = _spell_lexicon(lexicon, vocabulary)
        delimiter = _delimiter(vocabulary, "a lexicon")
        tables.append(compile_lexicon(words, vocab=vocab, word_delimiter_id=delimiter))
    if hotwords:
        delimiter = _delimiter(vocabulary, "hotwords")
        phrases = _spell_hotwords(hotwords, vocabulary)
        tables.append(compile_hotwords(phrases, vocab=vocab, word_delimiter_id=delimiter))
    return Compiled(tables=tuple(tables), case=str if lm is None else choose_case(lm, vocabulary))


def build_automata(
    tables: tuple[Table, ...], model: WeightedModel | None, vocabulary: Vocabulary, *, vocab: int
) -> tuple[Automaton, ...]:
    """Return the automata of one search; a language model's caches scores."""
    if model is None:
        return tables
    unknown = vocabulary.unknown_piece or ""
    pieces = [vocabulary.pieces.get(token_id, unknown) for token_id in range(vocab)]
    if model.lm.level == "word":
        delimiter = _delimiter(vocabulary, "a word language model")
        return (*tables, WordScores(model, pieces=pieces, word_delimiter_id=delimiter))
    return (
        *tables,
        CharacterScores(model, pieces=pieces, word_delimiter_id=vocabulary.word_delimiter_id),
    )


def _delimiter(vocabulary: Vocabulary, what: str) -> int:
    if vocabulary.word_delimiter_id is None:
        raise DecodingError(f"{what} needs a token that separates words, and the model has none")
    return vocabulary.word_delimiter_id


def _spell_hotwords(hotwords: Mapping[str, float], vocabulary: Vocabulary) -> dict[tuple[int, ...], float]:
    phrases: dict[tuple[int, ...], float] = {}
    for phrase, bonus in hotwords.items():
        if not math.isfinite(bonus):
            raise HotwordError(f"hotword {phrase!r}: the bonus {bonus} is not a finite number")
        try:
            token_ids = vocabulary.encode(phrase)
        except TextError as error:
            raise HotwordError(f"hotword {phrase!r}: {error}") from error
        if not token_ids:
            raise HotwordError(f"hotword {phrase!r}: there is no word in it")
        if token_ids in phrases:
            raise HotwordError(f"hotword {phrase!r}: another hotword has the same spelling; give it once")
        phrases[token_ids] = bonus
    return phrases


def _spell_lexicon(lexicon: Collection[str], vocabulary: Vocabulary) -> list[tuple[int, ...]]:
    spelt = (_spell(word, vocabulary) for word in lexicon)
    words = [word for word in spelt if word and vocabulary.word_delimiter_id not in word]
    if not words:
        raise LexiconError(
            f"the model can write none of the {len(lexicon)} words in the lexicon; use its letters"
        )
    return words


def _spell(word: str, vocabulary: Vocabulary) -> tuple[int, ...]:
    """Return a word's tokens; none if the model cannot write it."""
    try:
        return vocabulary.encode(word)
    except TextError:
        return ()
