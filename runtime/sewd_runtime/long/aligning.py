"""A known text and a recording of any length: when each word is spoken."""

from collections.abc import Iterator

from sewd_runtime._types import Samples
from sewd_runtime.decode import align_tokens
from sewd_runtime.errors import TextError
from sewd_runtime.inference.network import Network
from sewd_runtime.long.emission import emission_of
from sewd_runtime.long.segmentation import Segmentation
from sewd_runtime.text.frames import FrameClock
from sewd_runtime.text.spelling import Speller
from sewd_runtime.text.transcript import Transcript
from sewd_runtime.text.vocabulary import Vocabulary
from sewd_runtime.text.wildcards import first_wildcard, spell_with_wildcards
from sewd_runtime.text.word_times import fit_transcript


def align_recording(
    recording: Samples | Iterator[Samples],
    text: str,
    *,
    network: Network,
    vocabulary: Vocabulary,
    segmentation: Segmentation,
    characters: bool,
    lenient: bool,
) -> Transcript:
    """Do what ``Recognizer.align`` says; recording: as ``steps.open_recording`` returns it."""
    token_ids, spelled = _spell(text, vocabulary, lenient=lenient)
    manifest, blank_id = network.manifest, vocabulary.blank_id
    emission = emission_of(recording, network, segmentation=segmentation, blank_id=blank_id)
    path = align_tokens(
        emission.log_probs,
        token_ids,
        blank_id=blank_id,
        canonical_ids=vocabulary.canonical_ids,
        first_wildcard=first_wildcard(vocabulary) if lenient else None,
    )
    transcript = Transcript.from_hypothesis(
        path,
        vocabulary=spelled,
        clock=FrameClock(stride=manifest.stride, sample_rate_hz=manifest.sample_rate_hz),
        duration_s=emission.duration_s,
        characters=characters,
    )
    return fit_transcript(transcript, emission.quiet)


def _spell(text: str, vocabulary: Vocabulary, *, lenient: bool) -> tuple[tuple[int, ...], Vocabulary]:
    """Return the token ids of a text, and the vocabulary that writes them."""
    if lenient:
        return spell_with_wildcards(text, vocabulary)
    try:
        return Speller(vocabulary).encode(text), vocabulary
    except TextError as error:
        raise TextError(f"{error}, or let it match anything with lenient=True (--lenient)") from error
