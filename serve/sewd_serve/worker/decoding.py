"""A request's decoder, and its answer."""

from typing import Any

from sewd_runtime.decode import Decoder, Greedy
from sewd_runtime.decode.bundled import BundleDecoders
from sewd_runtime.text.formats import as_srt, as_vtt
from sewd_runtime.text.transcript import Classification, Segment, Transcript
from sewd_serve.worker.messages import Decode, Transcribe


def decoder_of(options: Decode, decoders: BundleDecoders) -> Decoder:
    """Return the decoder that a request asks for, of the bundle's, as the commands do.

    Raises DecodingError, MissingPackageError.
    """
    fields: dict[str, Any] = {}
    if options.hotwords:
        fields["hotwords"] = dict(options.hotwords)
    if options.beam_width is not None:
        fields["width"] = options.beam_width
    if options.decoder == "greedy":
        return Greedy()
    return decoders.beam_search(**fields) if options.decoder or fields else decoders.default()


def body_of(transcript: Transcript, request: Transcribe) -> Any:
    """Return a transcript as OpenAI's ``response_format``: text, or the content of JSON."""
    match request.response_format:
        case "text":
            return f"{transcript.text}\n"
        case "srt":
            return as_srt(transcript)
        case "vtt":
            return as_vtt(transcript)
        case "verbose_json":
            return _verbose(transcript, request)
        case _:
            return {"text": transcript.text, "usage": _usage(transcript)}


def classification_of(classification: Classification, top_k: int) -> dict[str, Any]:
    """Return the most probable labels and their probabilities."""
    pairs = zip(classification.labels[:top_k], classification.probabilities[:top_k], strict=True)
    return {
        "label": classification.labels[0],
        "classes": [{"label": label, "probability": probability} for label, probability in pairs],
    }


def _usage(transcript: Transcript) -> dict[str, Any]:
    return {"type": "duration", "seconds": round(transcript.duration_s)}


def _verbose(transcript: Transcript, request: Transcribe) -> dict[str, Any]:
    content: dict[str, Any] = {
        "task": "transcribe",
        "duration": transcript.duration_s,
        "text": transcript.text,
        "usage": _usage(transcript),
    }
    if "word" in request.granularities:
        content["words"] = [
            {"word": word.text, "start": word.start_s, "end": word.end_s, "confidence": word.confidence}
            for word in transcript.words
        ]
    if "segment" in request.granularities or not request.granularities:
        content["segments"] = [
            _segment(number, segment) for number, segment in enumerate(transcript.segments)
        ]
    if request.subtitles:
        content["sewd_subtitles"] = {"srt": as_srt(transcript), "vtt": as_vtt(transcript)}
    return content


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    """Return a segment with all of OpenAI's fields; those of a Whisper decoder are constants here."""
    return {
        "id": number,
        "seek": 0,
        "start": segment.start_s,
        "end": segment.end_s,
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }
