"""Live sessions: words are those of ``Recognizer.stream``, wherever packets end and whoever else talks."""

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sewd_runtime import Recognizer, Streaming
from sewd_serve.worker.companding import decode_samples
from tests.serve.realtime import (
    CLIPS,
    TRANSCRIPTION,
    RealtimeClient,
    heard_by_stream,
    session,
    silence,
    speech,
    text_of,
)
from tests.serve.running import RunningServer, running, wait_until, with_limits

BY_COMMIT: dict[str, Any] = {"turn_detection": None}


@pytest.fixture(scope="module")
def digits() -> Recognizer:
    return Recognizer.load(threads=1)


@pytest.fixture
def client(server: RunningServer) -> Iterator[RealtimeClient]:
    with session(server) as client:
        yield client


def test_a_committed_buffer_is_a_stream_of_its_own(client: RealtimeClient, digits: Recognizer) -> None:
    client.update(**BY_COMMIT)
    previous = None
    for clip in CLIPS[:3]:
        samples = speech(clip)
        client.append(samples)
        client.commit()
        assert client.transcript() == text_of(heard_by_stream(digits, samples)[0])
        committed = client.all("input_audio_buffer.committed")[-1]
        assert committed["previous_item_id"] == previous
        previous = committed["item_id"]
        usage = client.all(f"{TRANSCRIPTION}.completed")[-1]["usage"]
        assert usage == {"type": "duration", "seconds": pytest.approx(len(samples) / 24_000, abs=0.01)}
    assert not client.all("input_audio_buffer.speech_started")


def test_turns_are_those_of_the_stream(client: RealtimeClient, digits: Recognizer) -> None:
    samples = np.concatenate([part for clip in CLIPS[:3] for part in (speech(clip), silence(1))])
    words, turns = heard_by_stream(digits, samples)
    ends = [turn for turn in turns if not turn.begins]
    client.append(samples)
    transcripts = [client.transcript() for _ in ends]
    assert " ".join(transcripts) == text_of(words)
    started, stopped = (client.all(f"input_audio_buffer.speech_{name}") for name in ("started", "stopped"))
    assert [event["audio_start_ms"] for event in started] == [
        round(1000 * turn.time_s) for turn in turns if turn.begins
    ]
    assert [event["audio_end_ms"] for event in stopped] == [round(1000 * turn.time_s) for turn in ends]
    items = [event["item_id"] for event in started]
    for kind in ("input_audio_buffer.speech_stopped", "input_audio_buffer.committed"):
        assert [event["item_id"] for event in client.all(kind)] == items
    assert [event["item"]["id"] for event in client.all("conversation.item.added")] == items
    assert [event["item_id"] for event in client.all(f"{TRANSCRIPTION}.completed")] == items


@pytest.mark.parametrize("packet_bytes", [333, 4_801, 10_000_000])
def test_where_packets_end_never_matters(
    client: RealtimeClient, digits: Recognizer, packet_bytes: int
) -> None:
    client.update(**BY_COMMIT)
    samples = speech(CLIPS[0])
    client.append(samples, packet_bytes=packet_bytes)
    client.commit()
    assert client.transcript() == text_of(heard_by_stream(digits, samples)[0])


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_other_rates(client: RealtimeClient, digits: Recognizer, rate_hz: int) -> None:
    updated = client.update(format={"type": "audio/pcm", "rate": rate_hz}, **BY_COMMIT)
    assert updated["session"]["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": rate_hz}
    samples = speech(CLIPS[1], rate_hz)
    client.append(samples)
    client.commit()
    assert client.transcript() == text_of(heard_by_stream(digits, samples, rate_hz)[0])


@pytest.mark.parametrize("encoding", ["pcmu", "pcma"])
def test_telephone_encodings(client: RealtimeClient, digits: Recognizer, encoding: str) -> None:
    client.update(format={"type": f"audio/{encoding}"}, **BY_COMMIT)
    codes = _compress(speech(CLIPS[2], 8_000), encoding)
    client.append(codes)
    client.commit()
    expected, _ = heard_by_stream(digits, decode_samples(codes, encoding), 8_000)
    assert client.transcript() == text_of(expected)


def _compress(samples: NDArray[np.int16], encoding: str) -> bytes:
    """The nearest code of each sample."""
    levels = decode_samples(bytes(range(256)), encoding).astype(np.int32)
    order = np.argsort(levels)
    edges = (levels[order][1:] + levels[order][:-1]) / 2
    return order[np.searchsorted(edges, samples)].astype(np.uint8).tobytes()


def test_a_shorter_silence_ends_turns_sooner(client: RealtimeClient, digits: Recognizer) -> None:
    client.update(turn_detection={"type": "server_vad", "silence_duration_ms": 200})
    samples = np.concatenate([speech(CLIPS[3]), silence(1)])
    words, turns = heard_by_stream(digits, samples, streaming=Streaming(pause_s=0.2, margin_s=0.1))
    client.append(samples)
    transcripts = [client.transcript() for turn in turns if not turn.begins]
    assert " ".join(transcripts) == text_of(words)


def test_many_streams_are_each_as_if_alone(server: RunningServer, digits: Recognizer) -> None:
    def listen(number: int) -> tuple[str, str]:
        samples = np.roll(speech(CLIPS[number % len(CLIPS)]), 240 * number)
        with session(server) as client:
            client.update(**BY_COMMIT)
            client.append(samples, packet_bytes=2_000 + 111 * number)
            client.commit()
            return client.transcript(), text_of(heard_by_stream(digits, samples)[0])

    with ThreadPoolExecutor(16) as pool:
        pairs = list(pool.map(listen, range(16)))
    assert [heard for heard, _ in pairs] == [alone for _, alone in pairs]


def test_commits_need_not_wait_for_one_another(client: RealtimeClient, digits: Recognizer) -> None:
    client.update(**BY_COMMIT)
    clips = [speech(clip) for clip in CLIPS[:3]]
    for samples in clips:
        client.append(samples)
        client.commit()
    assert [client.transcript() for _ in clips] == [
        text_of(heard_by_stream(digits, samples)[0]) for samples in clips
    ]


def test_cleared_audio_leaves_no_words(client: RealtimeClient, digits: Recognizer) -> None:
    client.update(**BY_COMMIT)
    client.append(speech(CLIPS[0]))
    client.send("input_audio_buffer.clear")
    client.wait_for("input_audio_buffer.cleared")
    samples = speech(CLIPS[1])
    client.append(samples)
    client.commit()
    assert client.transcript() == text_of(heard_by_stream(digits, samples)[0])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("turns", [None, {"type": "server_vad"}])
def test_random_sessions_hear_what_streams_of_their_utterances_hear(
    client: RealtimeClient, digits: Recognizer, seed: int, turns: dict[str, str] | None
) -> None:
    """Utterances end by commits, or are cleared; with turns the items are others, and the words the same."""
    generator = np.random.default_rng(seed)
    spoken = np.concatenate([part for clip in CLIPS for part in (speech(clip), silence(0.7))])
    client.update(turn_detection=turns)
    place, begin, expected = 0, 0, []
    while place < len(spoken):
        end = place + int(generator.integers(2_400, 24_000))
        client.append(spoken[place:end], packet_bytes=int(generator.integers(1_000, 50_000)))
        place = end
        match generator.choice(["append", "append", "append", "commit", "clear"]):
            case "commit":
                client.commit()
            case "clear" if turns is None:
                client.send("input_audio_buffer.clear")
                begin = place
                continue
            case _:
                continue
        expected.append(text_of(heard_by_stream(digits, spoken[begin:place])[0]))
        begin = place
    expected.append(text_of(heard_by_stream(digits, spoken[begin:])[0]))
    client.update(format={"type": "audio/pcmu"})  # ends the last utterance
    transcripts = [event["transcript"] for event in client.all(f"{TRANSCRIPTION}.completed")]
    if turns is None:
        assert transcripts == expected[: len(transcripts)] and not any(expected[len(transcripts) :])
    else:
        assert " ".join(filter(None, transcripts)) == " ".join(filter(None, expected))
    begun = [event["item_id"] for event in client.all("input_audio_buffer.speech_started")]
    ended = [event["item_id"] for event in client.all("input_audio_buffer.speech_stopped")]
    assert begun == ended and bool(begun) == (turns is not None)


def test_a_flood_of_events_is_read_no_faster_than_it_is_done(
    client: RealtimeClient, digits: Recognizer
) -> None:
    client.update(**BY_COMMIT)
    for _ in range(1_000):
        client.append(silence(0.001))
        client.send("input_audio_buffer.clear")
    samples = speech(CLIPS[1])
    client.append(samples)
    client.commit()
    assert client.transcript() == text_of(heard_by_stream(digits, samples)[0])
    assert len(client.all("input_audio_buffer.cleared")) == 1_000


@pytest.mark.parametrize("audio", [b"", silence(0.05).tobytes()])
def test_an_empty_commit_gets_openais_error(client: RealtimeClient, audio: bytes) -> None:
    client.append(audio)
    client.send("input_audio_buffer.commit", event_id="mine")
    error = client.wait_for("error")["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "input_audio_buffer_commit_empty")
    assert error["event_id"] == "mine"
    length_ms = 1000 * len(audio) / 48_000
    assert error["message"].endswith(f"but buffer only has {length_ms:.2f}ms of audio.")


def test_a_commit_without_speech_is_an_empty_item(client: RealtimeClient) -> None:
    client.append(silence(1))
    client.commit()
    assert client.transcript() == ""
    client.commit()
    assert client.wait_for("error")["error"]["code"] == "input_audio_buffer_commit_empty"


def test_a_commit_ends_a_turn_before_its_pause(client: RealtimeClient, digits: Recognizer) -> None:
    samples = speech(CLIPS[4])
    client.append(samples)
    client.commit()
    assert client.transcript() == text_of(heard_by_stream(digits, samples)[0])
    assert len(client.all("input_audio_buffer.speech_stopped")) == 1


MALFORMED = [
    "",
    "no JSON",
    "[" * 100_000,
    "[]",
    "{}",
    '{"type": 1}',
    '{"type": "response.create"}',
    '{"type": "input_audio_buffer.append"}',
    '{"type": "input_audio_buffer.append", "audio": 1}',
    '{"type": "input_audio_buffer.append", "audio": "?"}',
    '{"type": "session.update"}',
    *(
        json.dumps({"type": "session.update", "session": each})
        for each in (
            {"type": "realtime"},
            {"audio": 1},
            {"audio": {"input": {"format": {"type": "audio/opus"}}}},
            {"audio": {"input": {"format": {"type": []}}}},
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 10**9}}}},
            {"audio": {"input": {"format": {"type": "audio/pcmu", "rate": 16_000}}}},
            {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}},
            {"audio": {"input": {"turn_detection": {"silence_duration_ms": "long"}}}},
            {"audio": {"input": {"transcription": {"keywords": [1]}}}},
            {"audio": {"input": {"transcription": {"keywords": ["€€€"]}}}},
            {"audio": {"input": {"transcription": {"languages": [1]}}}},
            {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}},
            {"audio": {"input": {"transcription": {"model": "\ud800"}}}},
            {"sewd": {"pending": "yes"}},
        )
    ),
    b"\xff\xfe",
    b"",
    "x" * 10_000_000,
]


def test_malformed_events_are_answered_and_change_nothing(client: RealtimeClient, digits: Recognizer) -> None:
    session = client.update(**BY_COMMIT)["session"]
    samples = speech(CLIPS[0])
    half = len(samples) // 2
    client.append(samples[:half])
    for event in MALFORMED:
        client.connection.send(event)
        error = client.wait_for("error")["error"]
        assert error["type"] == "invalid_request_error" and error["message"] and error["code"], event
        assert error["param"] != "sewd_hotwords"
    assert client.update()["session"] == session
    client.append(samples[half:])
    client.commit()
    assert client.transcript() == text_of(heard_by_stream(digits, samples)[0])


def test_a_frame_beyond_the_limit_closes_only_its_connection(server: RunningServer) -> None:
    with session(server) as other, session(server) as client:
        with pytest.raises(ConnectionClosed):
            client.connection.send("x" * (17 << 20))
            client.receive()
        other.append(np.concatenate([speech(CLIPS[0]), silence(1)]))
        assert other.transcript()


def test_an_update_keeps_what_it_leaves_out(client: RealtimeClient) -> None:
    client.update(transcription={"language": "en", "keywords": ["SEVEN"]}, format={"type": "audio/pcma"})
    heard = client.update(turn_detection=None)["session"]["audio"]["input"]
    assert heard == {
        "format": {"type": "audio/pcma", "rate": 8_000},
        "transcription": {"model": "digits", "language": "en", "keywords": ["SEVEN"]},
        "turn_detection": None,
        "noise_reduction": None,
    }


def test_an_update_ends_the_utterance_and_loses_no_word(client: RealtimeClient, digits: Recognizer) -> None:
    first, second = speech(CLIPS[0]), speech(CLIPS[1], 16_000)
    client.append(first)
    client.update(format={"type": "audio/pcm", "rate": 16_000})
    client.append(np.concatenate([second, silence(1, 16_000)]))
    client.wait_for("input_audio_buffer.speech_stopped")
    client.transcript()
    assert [event["transcript"] for event in client.all(f"{TRANSCRIPTION}.completed")] == [
        text_of(heard_by_stream(digits, first)[0]),
        text_of(heard_by_stream(digits, second, 16_000)[0]),
    ]
    begins = [event["audio_start_ms"] for event in client.all("input_audio_buffer.speech_started")]
    assert begins[1] >= 1000 * len(first) / 24_000


@pytest.mark.parametrize("turns", [True, False])
def test_turn_detection_may_change_within_an_utterance(
    client: RealtimeClient, digits: Recognizer, turns: bool
) -> None:
    """Half of the clip with turn detection, half without, or the reverse: it is one item with all words."""
    samples = speech(CLIPS[0])
    detection = ({"type": "server_vad"}, None)
    client.update(turn_detection=detection[not turns], sewd={"pending": True})
    client.append(samples[: len(samples) // 2])
    client.wait_for("sewd.pending")
    client.update(turn_detection=detection[turns])
    client.append(np.concatenate([samples[len(samples) // 2 :], silence(1)]))
    if turns:
        client.commit()
    assert client.transcript() == text_of(heard_by_stream(digits, samples)[0])


def test_keywords_are_hotwords(client: RealtimeClient, digits: Recognizer) -> None:
    client.update(transcription={"keywords": ["SEVEN=1e9"]}, **BY_COMMIT)
    client.append(speech(CLIPS[0]))
    client.commit()
    heard = client.transcript()
    assert heard.count("SEVEN") > text_of(heard_by_stream(digits, speech(CLIPS[0]))[0]).count("SEVEN")


def test_pending_words_and_times_come_when_asked_for(client: RealtimeClient, digits: Recognizer) -> None:
    client.update(sewd={"pending": True, "words": True}, **BY_COMMIT)
    samples = speech(CLIPS[0])
    client.append(samples)
    client.commit()
    client.transcript()
    assert any(event["text"] for event in client.all("sewd.pending"))
    words, _ = heard_by_stream(digits, samples)
    times = [word for event in client.all(f"{TRANSCRIPTION}.delta") for word in event["sewd_words"]]
    assert [(word["word"], word["start"], word["end"]) for word in times] == [
        (word.text, word.start_s, word.end_s) for word in words
    ]


def test_words_of_a_script_without_spaces_have_none(tmp_path: Path) -> None:
    unspaced = _write_unspaced(tmp_path / "unspaced")
    samples = speech(CLIPS[0])
    words, _ = heard_by_stream(Recognizer.load(unspaced, threads=1), samples)
    assert len(words) > 9 and all(len(word.text) == 1 for word in words)
    log = tmp_path / "log"
    with running(str(unspaced), log=log) as server, session(server) as client:
        client.update(sewd={"pending": True}, **BY_COMMIT)
        client.append(samples)
        client.commit()
        assert client.transcript() == "".join(word.text for word in words)
        assert not any(" " in event["text"] for event in client.all("sewd.pending"))


def _write_unspaced(folder: Path) -> Path:
    """Write the digits model with signs for its letters, and a word delimiter that it never writes."""
    shutil.copytree(Recognizer.load().network.bundle.path, folder)
    tokens = json.loads((folder / "vocab.json").read_text())
    outputs = [token if "<" in token else chr(0x4E00 + index) for token, index in tokens.items()]
    outputs[tokens["Q"]] = "|"
    content = json.dumps({token: index for index, token in enumerate(outputs)}).encode()
    (folder / "vocab.json").write_bytes(content)
    manifest = json.loads((folder / "bundle.json").read_text())
    sealed = {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest["files"]["vocab.json"] = sealed
    (folder / "bundle.json").write_text(json.dumps(manifest))
    return folder


def test_nothing_beyond_openais_events_comes_unasked(client: RealtimeClient) -> None:
    client.append(np.concatenate([speech(CLIPS[0]), silence(1)]))
    client.transcript()
    assert not client.all("sewd.pending")
    assert not any("sewd_words" in event for event in client.events)


def test_metrics(server: RunningServer) -> None:
    names = ('sewd_audio_seconds_total{kind="live"}', "sewd_stream_lag_seconds_count")
    before = [server.metric(name) for name in names]
    with session(server) as client:
        wait_for_metric(server, "sewd_streams", 1)
        client.append(np.concatenate([speech(CLIPS[0]), silence(1)]))
        client.transcript()
    after = [server.metric(name) for name in names]
    assert after[0] - before[0] == pytest.approx(len(speech(CLIPS[0])) / 24_000 + 1, abs=0.01)
    assert after[1] > before[1]
    wait_for_metric(server, "sewd_streams", 0)


def wait_for_metric(server: RunningServer, name: str, value: float) -> None:
    """The server notices a moment later that a client of an earlier test has left."""
    wait_until(lambda: server.metric(name) == value)


@pytest.mark.parametrize(
    ("query", "status"), [("?model=digits", None), ("", None), ("?model=gpt-realtime", 404)]
)
def test_a_model_is_chosen_by_its_name(server: RunningServer, query: str, status: int | None) -> None:
    if status is None:
        with session(server, query) as client:
            transcription = client.events[0]["session"]["audio"]["input"]["transcription"]
            assert transcription["model"] == "digits"
        return
    with pytest.raises(InvalidStatus) as refused, session(server, query):
        pass
    assert refused.value.response.status_code == status
    assert refused.value.response.body is not None
    assert json.loads(refused.value.response.body)["error"]["code"] == "model_not_found"


def test_pages_of_other_sites_are_refused(server: RunningServer) -> None:
    with session(server, origin=server.url):
        pass
    with pytest.raises(InvalidStatus) as refused, session(server, origin="https://example.org"):
        pass
    assert refused.value.response.status_code == 403


def test_a_killed_worker_closes_its_sessions_and_is_replaced(tmp_path: Path, digits: Recognizer) -> None:
    with running(log=tmp_path / "log") as server:
        with session(server) as client:
            client.append(speech(CLIPS[0]))
            os.kill(server.worker_pid(), signal.SIGKILL)
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    client.receive()
            assert client.events[-1]["error"]["code"] == "unavailable"
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1011
        server.wait_ready()
        with session(server) as client:
            client.update(**BY_COMMIT)
            client.append(speech(CLIPS[0]))
            client.commit()
            assert client.transcript() == text_of(heard_by_stream(digits, speech(CLIPS[0]))[0])


def test_a_server_that_stops_sends_what_it_has_heard(tmp_path: Path, digits: Recognizer) -> None:
    samples = speech(CLIPS[0])
    with running(log=tmp_path / "log") as server, session(server) as client:
        client.append(samples)
        client.wait_for("input_audio_buffer.speech_started")
        client.update()  # so that all of the audio has arrived
        server.process.send_signal(signal.SIGTERM)
        assert client.transcript() == text_of(heard_by_stream(digits, samples)[0])
        with pytest.raises(ConnectionClosed) as closed:
            client.receive()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001
        assert server.process.wait(30) == 0


def test_keys_and_tokens(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("secret\n")
    arguments = ("--api-key-file", str(tmp_path / "keys"), "--streams", "1")
    with running(*arguments, log=tmp_path / "log") as server:
        with pytest.raises(InvalidStatus) as refused, session(server):
            pass
        assert refused.value.response.status_code == 401
        assert [(line["level"], line.get("status")) for line in server.log_lines()[1:]] == [("info", 401)]
        endpoint, key = "/v1/realtime/client_secrets", {"Authorization": "Bearer secret"}
        secret = server.client.post(endpoint, headers=key, json={"expires_after": {"seconds": 60}}).json()
        assert secret["session"]["type"] == "transcription"
        token = {"Authorization": f"Bearer {secret['value']}"}
        assert server.client.post(endpoint, headers=token).status_code == 401
        protocols: Any = ["realtime", f"openai-insecure-api-key.{secret['value']}"]
        with session(server, subprotocols=protocols) as client:
            assert client.connection.subprotocol == "realtime"
            with pytest.raises(InvalidStatus) as refused, session(server, additional_headers=key):
                pass
            assert refused.value.response.status_code == 429
            assert refused.value.response.headers["Retry-After"] == "1"


def test_a_client_that_sends_nothing_is_closed(tmp_path: Path) -> None:
    with (
        running(log=tmp_path / "log", program=with_limits(stream_idle_s=0.5)) as server,
        session(server) as client,
    ):
        with pytest.raises(ConnectionClosed) as closed:
            client.receive()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001
        assert closed.value.rcvd.reason == "nothing was sent for 0.5 s"
