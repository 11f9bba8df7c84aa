"""Lexicon, hotwords and language model of a beam search, as automata over a vocabulary's tokens."""

import math
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from sewd_runtime.decode.automata import Automaton, Table
from sewd_runtime.decode.hotwords import compile_hotwords
from sewd_runtime.decode.lexicon import compile_lexicon
from sewd_runtime.decode.lm.model import LanguageModel, choose_form
from sewd_runtime.decode.lm.scores import CharacterScores, WeightedModel, WordScores
from sewd_runtime.errors import HotwordError, LexiconError, TextError, TextWarning
from sewd_runtime.text.scripts import is_unspaced
from sewd_runtime.text.spelling import Speller
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
    speller, delimiter = Speller(vocabulary), vocabulary.word_delimiter_id
    tables = []

    def is_joined(token_ids: Sequence[int]) -> bool:
        """Return whether no delimiter need stand beside these words."""
        return delimiter is None or any(is_unspaced(vocabulary.piece(token_id)) for token_id in token_ids)

    if lexicon is not None:
        words = _spell_lexicon(lexicon, speller)
        joined = [word for word in words if is_joined(word)]
        tables.append(compile_lexicon(words, vocab=vocab, word_delimiter_id=delimiter, joined=joined))
    phrases = _spell_hotwords(hotwords, speller)
    for apart in dict.fromkeys((delimiter, None)):
        group = {ids: bonus for ids, bonus in phrases.items() if is_joined(ids) == (apart is None)}
        if group:
            tables.append(compile_hotwords(group, vocab=vocab, word_delimiter_id=apart))
    return Compiled(tables=tuple(tables), case=str if lm is None else choose_form(lm, vocabulary))


def build_automata(
    tables: tuple[Table, ...], model: WeightedModel | None, vocabulary: Vocabulary, *, vocab: int
) -> tuple[Automaton, ...]:
    """Return the automata of one search; a language model's caches scores."""
    if model is None:
        return tables
    pieces = [vocabulary.piece(token_id) for token_id in range(vocab)]
    delimiter = vocabulary.word_delimiter_id
    if model.lm.level == "word" and delimiter is not None:
        return (*tables, WordScores(model, pieces=pieces, word_delimiter_id=delimiter))
    return (*tables, CharacterScores(model, pieces=pieces, word_delimiter_id=delimiter))


def _spell_hotwords(hotwords: Mapping[str, float], speller: Speller) -> dict[tuple[int, ...], float]:
    phrases: dict[tuple[int, ...], float] = {}
    for phrase, bonus in hotwords.items():
        if not math.isfinite(bonus):
            raise HotwordError(f"hotword {phrase[:60]!r}: the bonus {bonus} is not a finite number")
        try:
            token_ids = speller.encode(phrase)
        except TextError as error:
            raise HotwordError(f"hotword {phrase[:60]!r}: {error}") from error
        if not token_ids:
            raise HotwordError(f"hotword {phrase[:60]!r}: there is no word in it")
        if token_ids in phrases:
            raise HotwordError(
                f"hotword {phrase[:60]!r}: another hotword has the same spelling; give it once"
            )
        phrases[token_ids] = bonus
    return phrases


def _spell_lexicon(lexicon: Collection[str], speller: Speller) -> list[tuple[int, ...]]:
    """Return the tokens of the words that the model can write as one word; warns of the others."""
    if not lexicon:
        raise LexiconError("the lexicon is empty; give its words, one on each line")
    spelled = {word: speller.spell(word).words for word in lexicon}
    words = [one[0] for one in spelled.values() if len(one) == 1 and one[0] is not None]
    left_out = sorted(word for word, one in spelled.items() if len(one) != 1 or one[0] is None)
    some = ", ".join(map(repr, left_out[:5])) + (", ..." if len(left_out) > 5 else "")
    if not words:
        raise LexiconError(
            f"the model can write none of the {len(lexicon)} words in the lexicon ({some}); use its letters"
        )
    if left_out:
        message = f"the model cannot write {len(left_out)} of the {len(lexicon)} words in the lexicon: {some}"
        warnings.warn(message, TextWarning, stacklevel=3)
    return words
