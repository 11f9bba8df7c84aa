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
from sewd_runtime.commands._shared import complain
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

LONG_FILES = """\
long files:
  Recordings of more than a minute are read in blocks and parted in pauses, in memory that does not grow.
  Ctrl-C writes what was heard until then. With --output-dir it is kept beside the output instead, in
  NAME.partial.jsonl, also by a crash, and the same command with --resume goes on from there.

"""


def add_long_files(command: argparse.ArgumentParser) -> None:
    """Add how long recordings are taken apart, and the way to go on with them."""
    group = command.add_mutually_exclusive_group()
    group.add_argument(
        "--vad", action="store_true", help="run nothing but speech, in short files too; told by energy"
    )
    group.add_argument(
        "--no-pauses",
        action="store_true",
        help="run all of a long file in windows that overlap: where noise or music hides the pauses",
    )
    command.add_argument(
        "--resume", action="store_true", help="go on with long files where a run was broken off"
    )


def find_long_misuse(options: argparse.Namespace) -> str | None:
    """Tell what is wrong with the choice about long files; None: nothing."""
    if options.resume and options.output_dir is None:
        return "--resume needs --output-dir, where the broken run kept what it heard"
    return None


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
