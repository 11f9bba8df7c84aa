"""Files too long to run whole, as ``sewd transcribe`` runs them: their progress, and what a break leaves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sewd_runtime._types import AudioSource
from sewd_runtime.audio.reading import stated_duration_s
from sewd_runtime.bundle.folder import sha256_of
from sewd_runtime.bundle.manifest import MANIFEST_NAME
from sewd_runtime.commands._command import complain
from sewd_runtime.commands._transcripts import beside
from sewd_runtime.decode import Decoder
from sewd_runtime.long.journal import Journal, Task
from sewd_runtime.long.segmentation import Segmentation
from sewd_runtime.long.steps import Step, joined, transcribe_long
from sewd_runtime.long.windows import START
from sewd_runtime.recognizer import Recognizer
from sewd_runtime.system.progress import clock_time, show_position
from sewd_runtime.text.transcript import Segment, Transcript

_JOURNAL = ".partial.jsonl"

_LONG_FILES = """\
A recording of more than a minute is read in blocks and split at pauses, in memory that does not grow.
Ctrl-C writes the text so far. With --output DIR it is kept in DIR/NAME.partial.jsonl instead, as after
a crash, and the same command with --resume continues from there."""


def add_long_files(command: argparse.ArgumentParser) -> None:
    """Add how long recordings are split, and ``--resume``."""
    group = command.add_argument_group("long recordings", _LONG_FILES)
    split = group.add_mutually_exclusive_group()
    split.add_argument(
        "--vad", action="store_true", help="skip silence, detected by energy, in short recordings too"
    )
    split.add_argument(
        "--no-pauses",
        action="store_true",
        help="split into overlapping windows instead: where noise or music hides the pauses",
    )
    group.add_argument(
        "--resume", action="store_true", help="resume interrupted long recordings; needs --output"
    )


def check_long_files(options: argparse.Namespace) -> None:
    """Exit with wrong usage where ``--resume`` has no folder to resume from."""
    if options.resume and options.output is None:
        options.error("--resume needs --output, the folder of the interrupted run")


def chosen_segmentation(options: argparse.Namespace) -> Segmentation:
    """Return what the flags say of long recordings."""
    if options.vad:
        return Segmentation(whole_s=0)
    return Segmentation(pause_s=None) if options.no_pauses else Segmentation()


@dataclass(frozen=True, slots=True, kw_only=True)
class LongFiles:
    """How long files are run.

    decoding: what the decoder is, in words. journals: the folder that their journals lie in; None: there are
    none. resume: take up what is there.
    """

    recognizer: Recognizer
    decoder: Decoder
    decoding: str
    segmentation: Segmentation
    characters: bool
    journals: Path | None
    resume: bool

    def run(self, source: AudioSource) -> Iterator[Transcript]:
        """Yield the transcript of one recording.

        On Ctrl-C yields that of its begin, and raises KeyboardInterrupt when asked for more; with a journal
        it raises at once, for all is in there. The journal stays until ``forget``.
        """
        if self.journals is None or not isinstance(source, str):
            yield from self._run(source, None)
            return
        task = self._task(Path(source))
        start = Journal.resume if self.resume else Journal.start
        journal = start(beside(self.journals, source, _JOURNAL), task)
        try:
            yield from self._run(source, journal)
        finally:
            journal.close()

    def forget(self, name: str) -> None:
        """Delete the journal of a file, if there is one: its output is written."""
        if self.journals is not None:
            beside(self.journals, name, _JOURNAL).unlink(missing_ok=True)

    def _run(self, source: AudioSource, journal: Journal | None) -> Iterator[Transcript]:
        rate_hz, num_samples = self.recognizer.manifest.sample_rate_hz, 0
        steps = journal.steps if journal is not None else []
        segments = [segment for step in steps for segment in step.segments]
        try:
            for step in self._steps(source, steps[-1] if steps else None):
                if journal is not None:
                    journal.add(step)
                segments += step.segments
                num_samples = step.num_samples
        except KeyboardInterrupt:
            kept = (
                "--resume goes on from there" if journal is not None else "what was heard so far is written"
            )
            note = f"interrupted at {clock_time(num_samples / rate_hz)}; {kept}"
            complain(InterruptedError(note), source if isinstance(source, str) else "-")
            if journal is None:
                yield self._joined(segments, num_samples)
            raise
        yield self._joined(segments, num_samples)

    def _joined(self, segments: Sequence[Segment], num_samples: int) -> Transcript:
        duration_s = num_samples / self.recognizer.manifest.sample_rate_hz
        return joined(segments, vocabulary=self.recognizer.vocabulary, duration_s=duration_s)

    def _steps(self, source: AudioSource, last: Step | None) -> Iterator[Step]:
        """Yield the steps behind the last that was done, with how far they are on the terminal."""
        network = self.recognizer.network
        rate_hz = network.manifest.sample_rate_hz
        steps = transcribe_long(
            network.stream(source, None),
            network=network,
            vocabulary=self.recognizer.vocabulary,
            decoder=self.decoder,
            segmentation=self.segmentation,
            characters=self.characters,
            done=START if last is None else last.done,
        )
        return show_position(
            steps,
            position_s=lambda step: step.num_samples / rate_hz,
            duration_s=stated_duration_s(Path(source)) if isinstance(source, str) else None,
            begin_s=0.0 if last is None else last.num_samples / rate_hz,
        )

    def _task(self, path: Path) -> Task:
        network = self.recognizer.network
        return Task(
            audio_sha256=sha256_of(path),
            bundle_sha256=sha256_of(network.bundle.path / MANIFEST_NAME),
            precision=network.precision,
            provider=network.session.provider,
            library=network.session.library,
            options=f"{self.decoding} {self.segmentation} characters={self.characters}",
        )
