"""Files too long to run whole: how ``sewd transcribe`` shows their progress, keeps it and resumes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sewd_runtime._types import Samples
from sewd_runtime.audio.reading import stated_duration_s
from sewd_runtime.audio.time_range import TimeRange
from sewd_runtime.bundle.manifest import MANIFEST_NAME
from sewd_runtime.commands._command import complain
from sewd_runtime.commands._files import SPLIT
from sewd_runtime.commands._transcripts import beside
from sewd_runtime.decode import Decoder
from sewd_runtime.long.journal import Journal, Task
from sewd_runtime.long.segmentation import Segmentation
from sewd_runtime.long.steps import Decoding, Step, open_recording
from sewd_runtime.long.windows import START
from sewd_runtime.recognizer import Recognizer
from sewd_runtime.system.hashing import sha256_of
from sewd_runtime.system.progress import clock_time, show_position
from sewd_runtime.text.transcript import Transcript

_JOURNAL = ".partial.jsonl"

_LONG_FILES = """\
A recording of more than a minute is read in blocks and split at pauses, in memory that does not grow.
Ctrl-C writes the text so far. With --output DIR it is kept in DIR/NAME.partial.jsonl instead, as after
a crash, and the same command with --resume continues from there; what it has finished is not done again."""


def add_long_files(command: argparse.ArgumentParser) -> None:
    """Add how long recordings are split, and ``--resume``."""
    group = command.add_argument_group("long recordings", _LONG_FILES)
    add_splitting(group)
    text = "continue an interrupted run: skip the files it wrote, resume long recordings; needs --output"
    group.add_argument("--resume", action="store_true", help=text)
    text = "skip recordings that have a file in --output, whatever is in it"
    group.add_argument("--skip-existing", action="store_true", help=text)


def add_splitting(group: argparse._ArgumentGroup) -> None:
    """Add how long recordings are split."""
    split = group.add_mutually_exclusive_group()
    split.add_argument(
        "--vad", action="store_true", help="skip silence, detected by energy, in short recordings too"
    )
    split.add_argument(
        "--no-pauses",
        action="store_true",
        help="split into overlapping windows instead: where noise or music hides the pauses",
    )


def check_long_files(options: argparse.Namespace) -> None:
    """Exit with wrong usage where ``--resume`` or ``--skip-existing`` has no folder to look in."""
    for name in ("resume", "skip_existing"):
        if getattr(options, name) and options.output is None:
            options.error(f"--{name.replace('_', '-')} needs --output, the folder of the earlier run")


def chosen_segmentation(options: argparse.Namespace) -> Segmentation:
    """Return what the flags say of long recordings; a channel is silent while another one speaks."""
    if options.no_pauses:
        return Segmentation(pause_s=None)
    return Segmentation(whole_s=0) if options.vad or options.channel == SPLIT else Segmentation()


@dataclass(frozen=True, slots=True, kw_only=True)
class LongFile:
    """A recording too long to run whole: its name, "-" for stdin, and its blocks.

    channel: which one of a recording whose channels are split.
    """

    name: str
    blocks: Iterator[Samples]
    channel: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LongFiles:
    """How long files are run.

    decoding: the decoder's options in words. part: what is read of each.
    journals: the folder of the journals, or None to keep none.
    resume: continue from the journals that are there.
    """

    recognizer: Recognizer
    decoder: Decoder
    decoding: str
    part: TimeRange
    segmentation: Segmentation
    characters: bool
    journals: Path | None
    resume: bool
    _done: dict[str, list[Journal]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def options(self) -> Decoding:
        """How they become text."""
        return Decoding(decoder=self.decoder, segmentation=self.segmentation, characters=self.characters)

    def open(self, name: str, blocks: Iterator[Samples], channel: int | None = None) -> Samples | LongFile:
        """Read a recording that runs whole, and the beginning of a longer one."""
        recording = open_recording(self.recognizer.network, blocks, None, self.segmentation)
        if isinstance(recording, np.ndarray):
            return recording
        return LongFile(name=name, blocks=recording, channel=channel)

    def run(self, file: LongFile) -> Iterator[Transcript]:
        """Yield the transcript of one recording.

        Interrupted with Ctrl-C, it yields the transcript so far and raises KeyboardInterrupt when asked for
        more; with a journal, which has all of it, it raises at once. The journal stays until ``forget``.
        """
        if self.journals is None or file.name == "-":
            yield from self._run(file, None)
            return
        task = self._task(file)
        ending = _JOURNAL if file.channel is None else f".channel{file.channel}{_JOURNAL}"
        start = Journal.resume if self.resume else Journal.start
        journal = start(beside(self.journals, file.name, ending), task)
        try:
            self._done.setdefault(file.name, []).append(journal)
            yield from self._run(file, journal)
        finally:
            journal.close()

    def forget(self, name: str) -> None:
        """Delete the journals that this run kept of a file, now that its output is written."""
        for journal in self._done.pop(name, ()):
            journal.delete()

    def _run(self, file: LongFile, journal: Journal | None) -> Iterator[Transcript]:
        steps = [] if journal is None else list(journal.steps)
        try:
            for step in self._steps(file, steps[-1] if steps else None):
                if journal is not None:
                    journal.add(step)
                steps.append(step)
        except KeyboardInterrupt:
            transcript = self.recognizer.join(steps)
            kept = "the text so far is written" if journal is None else "--resume continues from there"
            note = f"interrupted at {clock_time(self.part.start_s + transcript.duration_s)}; {kept}"
            complain(InterruptedError(note), file.name)
            if journal is None:
                yield transcript
            raise
        yield self.recognizer.join(steps)

    def _steps(self, file: LongFile, last: Step | None) -> Iterator[Step]:
        """Yield the steps after the last one that is done, and show the position on the terminal."""
        rate_hz = self.recognizer.manifest.sample_rate_hz
        steps = self.recognizer.steps(
            file.blocks,
            decoder=self.decoder,
            segmentation=self.segmentation,
            characters=self.characters,
            done=START if last is None else last.done,
        )
        return show_position(
            steps,
            position_s=lambda step: step.num_samples / rate_hz,
            duration_s=None if file.name == "-" else self.part.length_s(stated_duration_s(Path(file.name))),
            begin_s=0.0 if last is None else last.num_samples / rate_hz,
        )

    def _task(self, file: LongFile) -> Task:
        channel = "" if file.channel is None else f" channel={file.channel}"
        return self.task(sha256_of(Path(file.name)), channel)

    def task(self, audio_sha256: str, more: str = "") -> Task:
        """Return what a transcript of some audio depends on; more: further options in words."""
        network = self.recognizer.network
        return Task(
            audio_sha256=audio_sha256,
            bundle_sha256=sha256_of(network.bundle.path / MANIFEST_NAME),
            precision=network.precision,
            provider=network.session.provider,
            library=network.session.library,
            options=f"{self.decoding} {self.segmentation} characters={self.characters}{more}",
        )
