"""What ``sewd evaluate`` reports, as one document that is written as JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sewd_runtime._types import Floats
from sewd_runtime.errors import TextError
from sewd_runtime.evaluation.counting import METHOD, Errors, count, count_confusions, draw_rates, interval
from sewd_runtime.system.machine import describe_machine, describe_versions

DOCUMENT_VERSION = 1
_CONFUSIONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What is evaluated: a model in one precision, or a file of hypotheses.

    texts: by utterance. run: how it ran, for the document. against: the name of the system that it is
    compared with, if any.
    """

    name: str
    texts: Sequence[str]
    run: Mapping[str, Any] = field(default_factory=dict)
    against: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """The errors of a system, and the rates of the draws."""

    words: Errors
    characters: Errors
    drawn_wer: Floats
    drawn_cer: Floats


def evaluate(
    names: Sequence[str],
    references: Sequence[str],
    systems: Sequence[System],
    *,
    normalise: Callable[[str], str],
    is_spaced: bool = True,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the document; ``docs/evaluating.md`` states its keys. Rates are shares.

    names, references: by utterance. is_spaced: whether spaces are characters. about: what the caller adds.
    Raises TextError if there are no words in the references, MissingPackageError without jiwer.
    """
    truth = list(map(normalise, references))
    if not any(truth):
        raise TextError("the references have no words after normalisation, so there is no error rate")
    compared = {system.name: list(map(normalise, system.texts)) for system in systems}
    counted = {name: _count(truth, texts, is_spaced) for name, texts in compared.items()}
    some = next(iter(counted.values()))
    rows = [
        {
            "name": name,
            "words": int(some.words.total[place]),
            "reference": {"text": references[place], "compared": truth[place]},
            "systems": {
                system.name: _row(place, system, compared[system.name], counted[system.name])
                for system in systems
            },
        }
        for place, name in enumerate(names)
    ]
    return {
        "version": DOCUMENT_VERSION,
        **about,
        "method": METHOD,
        "utterances": len(names),
        "words": int(some.words.total.sum()),
        "characters": int(some.characters.total.sum()),
        "machine": describe_machine(),
        "versions": describe_versions(),
        "systems": [_describe(system, counted, truth, compared[system.name]) for system in systems],
        "transcripts": rows,
    }


def worst(document: Mapping[str, Any], system: str, most: int) -> list[Mapping[str, Any]]:
    """Return the utterances with the most wrong words of a system; those without any are left out."""
    rows = [row for row in document["transcripts"] if row["systems"][system]["wrong_words"]]
    return sorted(rows, key=lambda row: (-row["systems"][system]["wrong_words"], row["words"]))[:most]


def _count(truth: Sequence[str], texts: Sequence[str], is_spaced: bool) -> _Counted:
    words = count(truth, texts)
    if not is_spaced:
        truth, texts = ([one.replace(" ", "") for one in side] for side in (truth, texts))
    characters = count(truth, texts, characters=True)
    return _Counted(
        words=words,
        characters=characters,
        drawn_wer=draw_rates(words.wrong, words.total),
        drawn_cer=draw_rates(characters.wrong, characters.total),
    )


def _describe(
    system: System, counted: Mapping[str, _Counted], truth: Sequence[str], compared: Sequence[str]
) -> dict[str, Any]:
    return {
        "name": system.name,
        **system.run,
        **_rates(counted[system.name]),
        "difference": system.against and _difference(counted, system.name, system.against),
        "confusions": _confusions(truth, compared),
    }


def _row(place: int, system: System, compared: Sequence[str], counted: _Counted) -> dict[str, Any]:
    return {
        "text": system.texts[place],
        "compared": compared[place],
        "wrong_words": int(counted.words.wrong[place]),
    }


def _rates(counted: _Counted) -> dict[str, Any]:
    return {
        "wer": {"rate": counted.words.rate, **_ends(counted.drawn_wer)},
        "cer": {"rate": counted.characters.rate, **_ends(counted.drawn_cer)},
        **{
            name: int(getattr(counted.words, name).sum())
            for name in ("substitutions", "deletions", "insertions")
        },
    }


def _difference(counted: Mapping[str, _Counted], name: str, against: str) -> dict[str, Any]:
    """Return by how much a system's rates exceed the other's; the draws are paired."""
    one, other = counted[name], counted[against]
    return {
        "against": against,
        "wer": {"rate": one.words.rate - other.words.rate, **_ends(one.drawn_wer - other.drawn_wer)},
        "cer": {
            "rate": one.characters.rate - other.characters.rate,
            **_ends(one.drawn_cer - other.drawn_cer),
        },
    }


def _ends(drawn: Floats) -> dict[str, float]:
    low, high = interval(drawn)
    return {"low": low, "high": high}


def _confusions(truth: Sequence[str], texts: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"reference": said, "text": heard, "count": number}
        for (said, heard), number in count_confusions(truth, texts).most_common(_CONFUSIONS)
    ]
