"""``sewd evaluate``."""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sewd_runtime.bundle.folder import find_bundle
from sewd_runtime.commands._command import add_bundle, add_json, output_file, refuse_inputs
from sewd_runtime.commands._decoding import add_decoding, check_decoding, decoder_of, describe_decoding
from sewd_runtime.commands._files import KINDS, add_reading, choose_workers, reader, run_files
from sewd_runtime.commands._long_files import add_splitting, chosen_segmentation
from sewd_runtime.commands._model import add_provider, add_running, add_workers, load_model
from sewd_runtime.evaluation.counting import find_jiwer
from sewd_runtime.evaluation.measuring import System, evaluate
from sewd_runtime.evaluation.normalisation import NORMALISATIONS
from sewd_runtime.evaluation.page import EXTRA, as_page
from sewd_runtime.evaluation.references import Utterance, read_hypotheses, read_manifest
from sewd_runtime.evaluation.report import as_table
from sewd_runtime.long.steps import Decoding, open_recording
from sewd_runtime.recognizer import Recognizer, transcribe_opened
from sewd_runtime.system.packages import find_matplotlib
from sewd_runtime.system.writing import whole_file
from sewd_runtime.text.transcript import Transcript
from sewd_runtime.text.vocabulary import Vocabulary

HELP = "Measure word and character error rates on recordings with transcripts."
EXAMPLES = """\
  sewd evaluate --manifest recordings
  sewd evaluate my-bundle --manifest test.tsv --precision all -o report.html
  sewd evaluate my-bundle --manifest test.jsonl --against other-bundle --normalise punctuation
"""
_ALL = "all"
_NORMALISE = "\n".join(f"{name:<12} {row.rule}" for name, row in NORMALISATIONS.items())


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_bundle(command)
    group = command.add_argument_group("recordings")
    text = (
        f"a folder ({KINDS.partition(';')[0]}) with a transcripts.tsv beside the recordings; or a list, "
        'each line PATH, tab, TEXT, or in NAME.jsonl {"audio": PATH, "text": TEXT}; paths are relative to it'
    )
    group.add_argument("--manifest", type=Path, metavar="FILE|DIR", required=True, help=text)
    add_reading(group)
    command.set_defaults(start=0.0, duration=None)
    group = command.add_argument_group("comparison", _NORMALISE)
    text = "what is compared (default: model)"
    group.add_argument("--normalise", choices=tuple(NORMALISATIONS), default="model", help=text)
    text = "another bundle, run alike, or a file of texts (NAME, tab, TEXT, or JSON lines) to compare with"
    group.add_argument("--against", metavar="BUNDLE|FILE", help=text)
    group = command.add_argument_group("output")
    add_json(group, "all figures and texts as one JSON object instead of the table")
    text = "write the report to FILE.html, or all figures to FILE.json; may be repeated"
    kinds = output_file(".html", ".json")
    group.add_argument("-o", "--output", type=kinds, action="append", default=[], metavar="FILE", help=text)
    group = command.add_argument_group("model")
    text = f"one of the bundle; may be repeated; {_ALL}: all of them (default: what the provider prefers)"
    group.add_argument("--precision", dest="precisions", action="append", metavar="P", help=text)
    add_provider(group)
    add_running(group)
    add_workers(group)
    add_splitting(command.add_argument_group("long recordings"))
    add_decoding(command)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What a model made of the recordings, by name; those that could not be read are missing."""

    system: str
    transcripts: Mapping[str, Transcript]
    about: Mapping[str, Any]
    decoder: str
    vocabulary: Vocabulary
    code: int
    against: str | None


def run(options: argparse.Namespace) -> int:
    """Evaluate, write what is asked for, and return the exit code."""
    refuse_inputs(options, options.output)
    check_decoding(options)
    find_jiwer()  # fails before anything runs
    if any(path.suffix == ".html" for path in options.output):
        find_matplotlib(EXTRA)
    utterances = read_manifest(options.manifest)
    file = Path(options.against) if options.against and Path(options.against).is_file() else None
    hypotheses = read_hypotheses(file, utterances) if file else []
    runs = list(_run_all(options, utterances, file))
    read = [
        place
        for place, utterance in enumerate(utterances)
        if all(str(utterance.path) in one.transcripts for one in runs)
    ]
    code = max(one.code for one in runs)
    if not read:
        return code
    systems = [
        System(
            name=one.system,
            texts=[one.transcripts[str(utterances[place].path)].text for place in read],
            run=one.about,
            against=one.against,
        )
        for one in runs
    ]
    if file:
        systems.append(System(name=str(file), texts=[hypotheses[place] for place in read]))
    _write(options, _document(options, [utterances[place] for place in read], systems, runs, len(utterances)))
    return code


def _run_all(
    options: argparse.Namespace, utterances: Sequence[Utterance], file: Path | None
) -> Iterator[_Run]:
    """Yield a run for each precision, and after it that of the bundle to compare with, if there is one."""
    precisions = options.precisions or [None]
    if _ALL in precisions:
        precisions = sorted(
            find_bundle(options.model).manifest.precisions, key=lambda name: (name != "fp32", name)
        )
    first = None
    for precision in dict.fromkeys(precisions):
        against = str(file) if file else first
        if options.against is not None and not file:
            other = _run(options, options.against, precision, utterances, prefix="against ")
            against = other.system
        one = _run(options, options.model, precision, utterances, against=against)
        first = first or one.system
        yield one
        if options.against is not None and not file:
            yield other


def _run(
    options: argparse.Namespace,
    model: str | None,
    precision: str | None,
    utterances: Sequence[Utterance],
    *,
    prefix: str = "",
    against: str | None = None,
) -> _Run:
    """Transcribe the recordings with one model, and take the time."""
    files = [str(utterance.path) for utterance in utterances]
    chosen = argparse.Namespace(**{**vars(options), "model": model, "precision": precision, "files": files})
    choose_workers(chosen)
    recognizer = load_model(chosen, Recognizer)
    start_s = time.perf_counter()
    transcripts, code = _transcribe(chosen, recognizer)
    seconds = time.perf_counter() - start_s
    name, network = recognizer.manifest.name, recognizer.network
    audio_s = sum(transcript.duration_s for transcript in transcripts.values())
    return _Run(
        system=f"{prefix}{name} {network.precision} {network.session.provider}",
        transcripts=transcripts,
        about={
            "bundle": name,
            "precision": network.precision,
            "provider": network.session.provider,
            "audio_s": audio_s,
            "seconds": seconds,
            "rtfx": audio_s / seconds,
        },
        decoder=describe_decoding(options, recognizer.manifest),
        vocabulary=recognizer.vocabulary,
        code=code,
        against=against,
    )


def _transcribe(options: argparse.Namespace, recognizer: Recognizer) -> tuple[dict[str, Transcript], int]:
    """Return the transcripts by file, and the exit code: 1 if some file could not be read."""
    segmentation = chosen_segmentation(options)
    decoder = decoder_of(options, recognizer.decoders)
    decoding = Decoding(decoder=decoder, segmentation=segmentation, characters=False)
    transcripts: dict[str, Transcript] = {}
    read = reader(
        options,
        recognizer.manifest.sample_rate_hz,
        lambda _, blocks: open_recording(recognizer.network, blocks, None, segmentation),
    )

    def run(recordings: Sequence[Any]) -> list[Transcript]:
        return transcribe_opened(recognizer, recordings, decoding)

    workers = recognizer.network.workers
    return transcripts, run_files(options, read, run, transcripts.__setitem__, workers=workers)


def _document(
    options: argparse.Namespace,
    utterances: Sequence[Utterance],
    systems: Sequence[System],
    runs: Sequence[_Run],
    num_listed: int,
) -> dict[str, Any]:
    normalisation, vocabulary = NORMALISATIONS[options.normalise], runs[0].vocabulary
    return evaluate(
        [utterance.name for utterance in utterances],
        [utterance.text for utterance in utterances],
        systems,
        normalise=normalisation.bind(vocabulary),
        is_spaced=vocabulary.word_delimiter_id is not None,
        about={
            "manifest": str(options.manifest),
            "failed": num_listed - len(utterances),
            "normalisation": {"name": options.normalise, "rule": normalisation.rule},
            "decoder": " against ".join(dict.fromkeys(one.decoder for one in runs)),
        },
    )


def _write(options: argparse.Namespace, document: Mapping[str, Any]) -> None:
    content = json.dumps(document, indent=2) + "\n"
    print(content if options.format == "json" else as_table(document), end="", flush=True)
    for path in options.output:
        with whole_file(path) as file:
            file.write(content if path.suffix == ".json" else as_page(document))
