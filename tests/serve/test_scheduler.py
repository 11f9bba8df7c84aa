"""Laws of the scheduler: every recording gets the answer it would get alone, in a fair order."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sewd_runtime import BeamSearch, Greedy, Recognizer, Transcript
from sewd_runtime.audio.reading import read_audio
from sewd_runtime.bundle.folder import DIGITS, MODELS, open_bundle
from sewd_runtime.decode.bundled import BundleDecoders
from sewd_serve.worker.decoding import decoder_of
from sewd_serve.worker.messages import (
    Bundle,
    Cancel,
    Decode,
    Delta,
    Done,
    Failed,
    Ping,
    Pong,
    Ready,
    Reload,
    Reply,
    Setup,
    Transcribe,
)
from sewd_serve.worker.models import Models
from sewd_serve.worker.notes import note_warnings
from sewd_serve.worker.recordings import Recording
from sewd_serve.worker.scheduler import Scheduler

RATE_HZ = 16_000
CLIPS = sorted((Path(__file__).parents[2] / "export/sewd_export/speech").glob("*.flac"))


class Mailbox:
    """Collects replies, and waits for the last one of a request."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self._changed = threading.Condition()

    def put(self, reply: Reply) -> None:
        with self._changed:
            self.replies.append(reply)
            self._changed.notify_all()

    def last(self, number: int, timeout_s: float = 120) -> Reply:
        def found() -> Reply | None:
            ends = (Done, Failed, Pong, Ready)
            return next((each for each in self.replies if each.id == number and isinstance(each, ends)), None)

        with self._changed:
            assert self._changed.wait_for(lambda: found() is not None, timeout_s)
            reply = found()
        assert reply is not None
        return reply

    def deltas(self, number: int) -> str:
        return "".join(each.text for each in self.replies if isinstance(each, Delta) and each.id == number)


@pytest.fixture(scope="module")
def models() -> Models:
    bundle = Bundle(name="digits", path=None)
    return Models(Setup(bundles=(bundle,), precision=None, provider="cpu", workers=2, threads=1))


@pytest.fixture(scope="module")
def digits() -> Recognizer:
    return Recognizer.load(threads=1)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def scheduler(models: Models, mailbox: Mailbox) -> Iterator[Scheduler]:
    with warnings.catch_warnings():
        note_warnings()
        yield Scheduler(models, workers=2, send=mailbox.put)  # its threads are daemons, and idle afterwards


def ask(number: int, path: Path, **options: object) -> Transcribe:
    defaults = {
        "model": "digits",
        "response_format": "json",
        "granularities": (),
        "decode": Decode(),
        "vad": False,
        "subtitles": False,
        "max_duration_s": 3600.0,
    }
    return Transcribe(id=number, path=str(path), **(defaults | options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Recordings of 0.01 to 12 s, cut from real ones and joined."""
    folder, random = tmp_path_factory.mktemp("recordings"), np.random.default_rng(0)
    speech = np.concatenate([read_audio(clip) for clip in CLIPS])
    paths = []
    for number, seconds in enumerate([0.01, 0.3, *random.uniform(0.5, 12.0, 30)]):
        begin = int(random.integers(len(speech) - round(seconds * RATE_HZ)))
        path = folder / f"{number}.wav"
        soundfile.write(path, speech[begin : begin + round(seconds * RATE_HZ)], RATE_HZ)
        paths.append(path)
    return paths


def test_many_at_once_are_answered_as_each_alone(
    scheduler: Scheduler, mailbox: Mailbox, digits: Recognizer, recordings: list[Path]
) -> None:
    for number, path in enumerate(recordings):
        scheduler.handle(ask(number, path, response_format="verbose_json", granularities=("word",)))
    batches = []
    for number, path in enumerate(recordings):
        done = mailbox.last(number)
        assert isinstance(done, Done)
        alone = digits.transcribe(path)
        assert done.text == mailbox.deltas(number) == alone.text
        assert [(word["word"], word["start"], word["end"]) for word in done.body["words"]] == [
            (word.text, word.start_s, word.end_s) for word in alone.words
        ]
        assert done.usage.audio_s == alone.duration_s
        batches.append(done.usage.batch)
    assert max(batches) > 1


def test_a_request_has_the_decoders_of_the_bundle_as_the_command_has() -> None:
    decoders = BundleDecoders(open_bundle(MODELS / DIGITS))
    assert decoder_of(Decode(), decoders) is decoders.default()
    assert decoder_of(Decode(decoder="greedy"), decoders) == Greedy()
    decoders.beam_search = lambda **options: BeamSearch(alpha=0.7, **options)  # of the bundle
    assert decoder_of(Decode(decoder="beam"), decoders) == BeamSearch(alpha=0.7)
    expected = BeamSearch(alpha=0.7, width=5, hotwords={"one": 2.0})
    assert decoder_of(Decode(beam_width=5, hotwords=(("one", 2.0),)), decoders) == expected


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.wav"
    silence = np.zeros(RATE_HZ, np.float32)
    speech = np.concatenate([part for clip in CLIPS for part in (read_audio(clip), silence)])
    soundfile.write(path, np.tile(speech, -(-240 * RATE_HZ // len(speech))), RATE_HZ)
    return path


def test_a_long_recording_lets_short_ones_pass_and_equals_the_command(
    scheduler: Scheduler, mailbox: Mailbox, digits: Recognizer, long_recording: Path
) -> None:
    for number in range(2):  # as many as there are workers
        scheduler.handle(ask(number, long_recording))
    scheduler.handle(ask(2, CLIPS[0]))
    alone: Transcript = digits.transcribe(long_recording)
    for number in range(2):
        done = mailbox.last(number)
        assert isinstance(done, Done)
        assert done.text == mailbox.deltas(number) == alone.text
    ends = [reply.id for reply in mailbox.replies if isinstance(reply, Done)]
    assert ends[0] == 2


def test_few_long_recordings_are_under_way_at_once_and_short_ones_wait_for_none(
    models: Models, mailbox: Mailbox, long_recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sewd_serve.worker.scheduler._STEPPED_AT_ONCE", 1)
    scheduler = Scheduler(models, workers=1, send=mailbox.put)
    for number in range(3):
        scheduler.handle(ask(number, long_recording))
    scheduler.handle(ask(3, CLIPS[0], vad=True))
    assert isinstance(mailbox.last(2), Done)
    order = [reply.id for reply in mailbox.replies if isinstance(reply, Delta) and reply.id < 3]
    assert order == sorted(order)  # one after another
    ends = [reply.id for reply in mailbox.replies if isinstance(reply, Done)]
    assert ends == [3, 0, 1, 2]


def test_the_time_in_the_queue_ends_with_the_first_step(
    mailbox: Mailbox, digits: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("sewd_serve.worker.recordings.time.monotonic", lambda: now)
    recording = Recording(ask(0, CLIPS[0], vad=True), digits, mailbox.put)
    recording.read()
    now = 5.0
    while not recording.step():
        now += 100.0
    recording.close()
    done = mailbox.replies[-1]
    assert isinstance(done, Done)
    assert (done.usage.queue_s, done.usage.run_s) == (5.0, 0.0)


def test_silence_is_skipped_in_short_recordings_on_request(
    scheduler: Scheduler, mailbox: Mailbox, digits: Recognizer
) -> None:
    from sewd_runtime import Segmentation

    scheduler.handle(ask(0, CLIPS[0], vad=True))
    done = mailbox.last(0)
    assert isinstance(done, Done)
    assert done.text == digits.transcribe(CLIPS[0], segmentation=Segmentation(whole_s=0)).text


def test_what_is_cancelled_is_never_answered_and_the_rest_is(
    scheduler: Scheduler, mailbox: Mailbox, long_recording: Path
) -> None:
    scheduler.handle(ask(0, long_recording))
    scheduler.handle(Cancel(id=0))
    scheduler.handle(ask(1, CLIPS[0]))
    assert isinstance(mailbox.last(1), Done)
    scheduler.handle(Ping(id=2))
    pong = mailbox.last(2)
    assert isinstance(pong, Pong)
    assert pong.workers == 2
    assert not any(isinstance(reply, Done) and reply.id == 0 for reply in mailbox.replies)


def test_each_error_is_the_answer_of_its_own_recording(
    scheduler: Scheduler, mailbox: Mailbox, tmp_path: Path
) -> None:
    broken = tmp_path / "secret name.wav"
    broken.write_bytes(b"RIFF\0\0\0\0WAVEnothing")
    requests = [
        ask(0, broken),
        ask(1, CLIPS[0], decode=Decode(hotwords=(("\N{SNOWMAN}", 3.0),))),
        ask(2, CLIPS[0], max_duration_s=1.0),
        ask(3, CLIPS[0]),
    ]
    for request in requests:
        scheduler.handle(request)
    kinds = [getattr(mailbox.last(number), "kind", "") for number in range(4)]
    assert kinds == ["AudioDecodeError", "HotwordError", "AudioTooLongError", ""]
    assert all("secret" not in getattr(reply, "message", "") for reply in mailbox.replies)


def test_warnings_come_with_the_answer(scheduler: Scheduler, mailbox: Mailbox, tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    path.write_bytes(CLIPS[0].read_bytes()[:-4000])
    scheduler.handle(ask(0, path))
    scheduler.handle(ask(1, CLIPS[0]))
    cut, whole = mailbox.last(0), mailbox.last(1)
    assert isinstance(cut, Done)
    assert isinstance(whole, Done)
    assert "truncated" in cut.body["warnings"][0]
    assert "warnings" not in whole.body


def test_models_are_replaced_while_recordings_run(
    scheduler: Scheduler, mailbox: Mailbox, recordings: list[Path]
) -> None:
    for number, path in enumerate(recordings):
        scheduler.handle(ask(number, path))
        if number == len(recordings) // 2:
            scheduler.handle(Reload(id=1000))
    assert isinstance(mailbox.last(1000), Ready)
    assert all(isinstance(mailbox.last(number), Done) for number in range(len(recordings)))
