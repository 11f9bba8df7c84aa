"""Take a language model into a bundle, and measure whether it lowers the original's word error rate."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from sewd_export.checkpoint.language_model import LanguageModel
from sewd_export.errors import ExportError
from sewd_export.parity.reference import Reference
from sewd_export.parity.transcripts import read_logits, word_errors
from sewd_runtime.bundle.language_model import LanguageModelEntry
from sewd_runtime.decode import BeamSearch, Decoder, Greedy
from sewd_runtime.decode.lm.kneser_ney import UNKNOWN
from sewd_runtime.decode.lm.model import LOG_10, KenlmModel, choose_form
from sewd_runtime.decode.lm.normalisation import normaliser
from sewd_runtime.errors import DecodingError, MissingPackageError

MIN_WORDS = 100
"""With fewer words, one of them moves the word error rate by more than a percentage point."""


def take_language_model(found: LanguageModel, folder: Path, reference: Reference) -> LanguageModelEntry:
    """Copy a language model into a bundle's folder, and return its entry of the manifest.

    It is measured on the recordings with transcripts, and is the default if it lowers the word error rate on
    `MIN_WORDS` or more. Without kenlm it is taken as it is. Raises ExportError if it cannot be decoded with.
    """
    vocabulary = reference.vocabulary
    if vocabulary is None or vocabulary.word_delimiter_id is None:
        raise ExportError(
            f"{found.path}: its units are words, which the model does not separate; --no-lm leaves it out"
        )
    search = BeamSearch()
    try:
        if found.alpha is not None:
            search = replace(search, alpha=found.alpha)
        if found.beta is not None:
            search = replace(search, beta=found.beta)
        lm = KenlmModel(found.path)
        choose_form(lm, vocabulary)
        if found.unk_score_offset is not None:
            log_prob, _ = lm.score(lm.start(), UNKNOWN)
            search = replace(search, unknown_score=log_prob + LOG_10 * found.unk_score_offset)
        words, greedy_wer, wer = _measure(reference, replace(search, lm=lm))
    except MissingPackageError:
        words, greedy_wer, wer = 0, None, None
    except DecodingError as error:
        raise ExportError(f"{error}; --no-lm leaves it out") from error
    shutil.copyfile(found.path, folder / found.file)
    entry = LanguageModelEntry(
        file=found.file,
        alpha=search.alpha,
        beta=search.beta,
        unknown_score=search.unknown_score,
        words=words,
        greedy_wer=greedy_wer,
        wer=wer,
    )
    return replace(entry, default=words >= MIN_WORDS and entry.helps)


def _measure(reference: Reference, search: BeamSearch) -> tuple[int, float | None, float | None]:
    """Return the number of words in the transcripts, and the word error rates: greedy, and with the search.

    Both decode the original's output, in float32.
    """
    vocabulary = reference.vocabulary
    assert vocabulary is not None
    words_of, words, errors = normaliser(vocabulary), 0, [0, 0]
    for answer in reference.answers:
        if answer.transcript is None:
            continue
        truth = words_of(answer.transcript)
        words += len(truth)
        decoders: tuple[Decoder, ...] = (Greedy(), search)
        for place, decoder in enumerate(decoders):
            text = read_logits(answer.expected, vocabulary, decoder)
            errors[place] += word_errors(truth, words_of(text))
    return (words, errors[0] / words, errors[1] / words) if words else (0, None, None)
