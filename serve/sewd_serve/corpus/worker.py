"""A loaded model that transcribes shards: in this process, or as an actor of a cluster."""

from __future__ import annotations

import argparse
import errno
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sewd_runtime._types import Samples
from sewd_runtime.bundle.manifest import MANIFEST_NAME
from sewd_runtime.commands._decoding import decoder_of
from sewd_runtime.commands._files import stream_part
from sewd_runtime.commands._long_files import chosen_segmentation
from sewd_runtime.commands._model import load_model
from sewd_runtime.errors import BundleError, SewdError
from sewd_runtime.evaluation.counting import count
from sewd_runtime.evaluation.normalisation import NORMALISATIONS
from sewd_runtime.inference.pipeline import run_recordings
from sewd_runtime.long.steps import Decoding, open_recording
from sewd_runtime.recognizer import Recognizer, transcribe_opened
from sewd_runtime.system.hashing import sha256_of
from sewd_runtime.system.machine import describe_versions
from sewd_runtime.text.transcript import Transcript
from sewd_serve.corpus.manifest import Recording
from sewd_serve.corpus.output import Counts, Output
from sewd_serve.corpus.remote import open_source
from sewd_serve.corpus.shards import Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a worker needs to know; it is sent to actors.

    options: of the command, those of the model, of decoding and of reading. folder: the manifest's.
    bundle_sha256: of its bundle.json, which has the hashes of its other files.
    task: all that results depend on, in words.
    """

    options: argparse.Namespace
    folder: Path
    output: Output
    bundle_sha256: str
    task: str


class Worker:
    """A model, loaded once. Raises BundleError if it is another bundle than the setup's."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        if not setup.output.folder.is_dir():
            fault = "is not on this machine; all machines must share the output's folder"
            raise FileNotFoundError(errno.ENOENT, fault, str(setup.output.folder))
        self._recognizer = load_model(setup.options, Recognizer)
        network = self._recognizer.network
        path = network.bundle.path
        if sha256_of(path / MANIFEST_NAME) != setup.bundle_sha256:
            raise BundleError(f"{path}: on this machine it is another bundle than where the run was started")
        self._decoding = Decoding(
            decoder=decoder_of(setup.options, self._recognizer.decoders),
            segmentation=chosen_segmentation(setup.options),
            characters=False,
        )
        self._about = {
            "bundle": network.manifest.name,
            "bundle_sha256": setup.bundle_sha256,
            "task": setup.task,
            "ran": f"{network.precision} on {network.session.provider} in {network.session.library}",
            "versions": describe_versions(),
        }

    def run(self, shards: Iterable[Shard]) -> Iterator[tuple[str, Counts]]:
        """Write each shard, and yield its name and what is in it.

        One pipeline runs through all of them, so that no core waits where a shard ends. A shard's end closes
        the group in which batches are planned, so they are those of the shard on its own.
        """
        answers = run_recordings(
            _with_ends(shards),
            read=self._read,
            run=self._run,
            workers=self._recognizer.network.workers,
            caught=(SewdError, OSError),
        )
        results: list[Transcript | Exception] = []
        with closing(answers):
            for item, result in answers:
                if isinstance(item, Recording):
                    results.append(result)
                    continue
                yield item.name, self._write(item, results)
                results = []

    def _read(self, item: Recording | Shard) -> Samples | Iterator[Samples] | Shard:
        if isinstance(item, Shard):
            return item
        network, segmentation = self._recognizer.network, self._decoding.segmentation
        return open_recording(network, self._blocks(item), None, segmentation)

    def _blocks(self, recording: Recording) -> Iterator[Samples]:
        options, start_s = self._setup.options, recording.start_s or 0.0
        with open_source(self._setup.folder, recording.path) as source:
            yield from stream_part(
                source,
                options,
                self._recognizer.manifest.sample_rate_hz,
                channel=options.channel,
                start_s=start_s,
                duration_s=None if recording.end_s is None else recording.end_s - start_s,
            )

    def _run(self, recordings: Sequence[Any]) -> Iterable[Any]:
        if isinstance(recordings[0], Shard):
            return recordings
        return transcribe_opened(self._recognizer, recordings, self._decoding)

    def _write(self, shard: Shard, results: Sequence[Transcript | Exception]) -> Counts:
        rows = [
            _row(recording, result, self._setup.folder)
            for recording, result in zip(shard.recordings, results, strict=True)
        ]
        errors = self._count_errors(rows)
        counts = Counts(
            recordings=len(rows),
            failed=sum(row["error"] is not None for row in rows),
            audio_s=math.fsum(row["duration_s"] or 0.0 for row in rows),
            **errors,
        )
        self._setup.output.write(shard, rows, counts, {**self._about, "shard": shard.name})
        return counts

    def _count_errors(self, rows: Sequence[dict[str, Any]]) -> Mapping[str, int]:
        """Add the word error rate to rows with a reference, and return the errors of all."""
        compared = [row for row in rows if row["reference"] is not None and row["error"] is None]
        if not compared:
            return {}
        vocabulary = self._recognizer.vocabulary
        normalise = NORMALISATIONS["model"].bind(vocabulary)
        said, heard = ([normalise(row[side]) for row in compared] for side in ("reference", "text"))
        words = count(said, heard)
        for row, wrong, total in zip(compared, words.wrong, words.total, strict=True):
            row["wer"] = round(float(wrong / total), 4) if total else None
        if vocabulary.word_delimiter_id is None:
            said, heard = ([text.replace(" ", "") for text in side] for side in (said, heard))
        characters = count(said, heard, characters=True)
        return {
            "wrong_words": int(words.wrong.sum()),
            "words": int(words.total.sum()),
            "wrong_characters": int(characters.wrong.sum()),
            "characters": int(characters.total.sum()),
        }


def _with_ends(shards: Iterable[Shard]) -> Iterator[Recording | Shard]:
    """Yield the recordings of each shard, and then the shard."""
    for shard in shards:
        yield from shard.recordings
        yield shard


def _row(recording: Recording, result: Transcript | Exception, folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": recording.id,
        "path": recording.path,
        "start_s": recording.start_s,
        "end_s": recording.end_s,
        "duration_s": None,
        "text": None,
        "words": None,
        "confidence": None,
        "reference": recording.reference,
        "wer": None,
        "error": None,
    }
    if isinstance(result, Exception):
        return row | {"error": _describe(result, recording.path, folder)}
    return row | _spoken(result, recording.start_s or 0.0)


def _spoken(transcript: Transcript, start_s: float) -> dict[str, Any]:
    """Return what a row has of a transcript; the times of words count from the start of the recording."""
    words = transcript.words
    return {
        "duration_s": round(transcript.duration_s, 4),
        "text": transcript.text,
        "words": [
            {
                "text": word.text,
                "start_s": round(start_s + word.start_s, 3),
                "end_s": round(start_s + word.end_s, 3),
                "confidence": round(word.confidence, 4),
            }
            for word in words
        ],
        "confidence": round(float(np.mean([word.confidence for word in words])), 4) if words else None,
    }


def _describe(error: Exception, path: str, folder: Path) -> str:
    """Return an error without the path, which the row has, and which differs between machines."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    for name in (str(folder / path), path):
        reason = reason.removeprefix(f"{name}: ")
    return " ".join(reason.replace(f"{folder}/", "").split())
