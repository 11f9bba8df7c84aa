"""Broken and hostile requests: each is refused by name, and the server goes on."""

import socket
import struct
from importlib.util import find_spec
from typing import Any

import pytest

from tests.serve.running import RunningServer, wait_until
from tests.serve.sockets import (
    BOUNDARY,
    END,
    PATH,
    Answer,
    ask,
    check_error,
    connected,
    form,
    head,
    part,
    receive,
)
from tests.serve.test_files import CLIPS

WAV = CLIPS[0].read_bytes()
FILE = part("file", WAV, file_name="a.wav")


@pytest.fixture(autouse=True)
def _still_serves(server: RunningServer) -> Any:
    pid = server.worker_pid()
    yield
    assert server.transcribe(CLIPS[0])["text"]
    assert server.worker_pid() == pid, "the inference process died"
    wait_until(lambda: not any(server.spool().iterdir()))


def send(server: RunningServer, body: bytes, more: str = "") -> Answer:
    return ask(server.port, head(len(body), more=more), body)


BROKEN_FORMS = {
    "nothing": b"",
    "no boundary in it": b"a=1&b=2",
    "another boundary": FILE.replace(BOUNDARY.encode(), b"another") + END,
    "only the end": END,
    "cut in the recording": FILE[:-200],
    "cut before the end": FILE,
    "cut in a header": FILE[:40],
    "no name": FILE.replace(b'; name="file"', b"") + END,
    "no disposition": FILE.replace(b"Content-Disposition", b"Content-Position") + END,
    "two recordings": FILE + FILE + END,
    "a recording in another field": part("other", WAV, file_name="a.wav") + END,
    "no recording": part("model", "digits") + END,
    "an empty recording": part("file", b"", file_name="a.wav") + END,
    "10,000 parts": part("a", "b") * 10_000 + FILE + END,
    "a header of 1 MB": FILE.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n", 1) + END,
    "100 headers of a part": FILE.replace(b"\r\n\r\n", b"\r\nX: x" * 100 + b"\r\n\r\n", 1) + END,
    "a form in the recording": part("file", FILE + b"--x--", file_name="a.wav") + END,
    "control characters": part("file\0\x1b", "x" * 10) + END,
}


@pytest.mark.parametrize("body", BROKEN_FORMS.values(), ids=BROKEN_FORMS)
def test_a_broken_form_is_refused(server: RunningServer, body: bytes) -> None:
    answer = send(server, body)
    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"


def test_a_field_that_would_fill_the_memory_is_refused(server: RunningServer) -> None:
    answer = send(server, part("prompt", "x" * (2 << 20)) + FILE + END)
    assert (answer.status, answer.error["code"]) == (413, "file_too_large")


def test_names_of_files_do_not_matter(server: RunningServer) -> None:
    for name in ("../../../etc/passwd", "a\0b", "\u4e2d" * 500, "C:\\a.wav", "x" * 3000):
        body = part("file", WAV, file_name=name) + END
        assert send(server, body).status == 200
    for header in (b"; filename*=UTF-8''%e4%b8%ad.wav", b""):
        body = FILE.replace(b'; filename="a.wav"', header) + END
        assert send(server, body).status == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=b",
        "multipart/form-data; boundary=" + "b" * 5000,
        "multipart/form-data; boundary=\xff\xfe",
        '\xff/\xff;;=;"=',
    ],
)
def test_a_request_that_is_no_form_is_refused(server: RunningServer, content_type: str) -> None:
    body = form(WAV)
    headers = f"Host: a\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = ask(server.port, f"POST {PATH} HTTP/1.1\r\n{headers}".encode("latin-1"), body)
    assert answer.status == 400
    assert answer.error["message"]


@pytest.mark.parametrize(
    "length", ["abc", "-5", "1e3", "99999999999999999999999", "5, 6", "0x10", "+3", "1_0"]
)
def test_a_content_length_that_is_no_number_is_refused(server: RunningServer, length: str) -> None:
    answer = ask(server.port, head(length))
    assert answer.status == 400
    assert answer.error["message"]


MALFORMED = {
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00" * 10,
    "no method": b"/ HTTP/1.1\r\n\r\n",
    "a space in the path": b"GET /a b HTTP/1.1\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
    "HTTP/9": b"GET / HTTP/9.9\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    "a length and chunks": head(5, more="Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
    "a chunk of no size": head(None, more="Transfer-Encoding: chunked\r\n") + b"zz\r\n",
    "CONNECT": b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
def test_malformed_http_is_refused(server: RunningServer, sent: bytes) -> None:
    answer = ask(server.port, sent)
    assert answer.status == 400
    assert answer.error["message"]


def test_headers_without_an_end_close_the_connection(server: RunningServer) -> None:
    with connected(server.port, b"GET / HTTP/1.1\r\n") as connection:
        assert not _endless(connection, b"X: " + b"x" * 1000 + b"\r\n").status


def test_trailers_without_an_end_close_the_connection(server: RunningServer) -> None:
    begin = head(None, more="Transfer-Encoding: chunked\r\n")
    with connected(server.port, begin, b"5\r\nabcde\r\n0\r\n") as connection:
        _endless(connection, b"X: " + b"x" * 1000 + b"\r\n")


def _endless(connection: socket.socket, block: bytes) -> Answer:
    """Send a block again and again, until the server has enough."""
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(100_000):
            connection.sendall(block)
    return receive(connection)


def test_a_body_in_chunks_is_read(server: RunningServer) -> None:
    body = form(WAV)
    chunks = [body[place : place + 7] for place in range(0, len(body), 7)]
    sent = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    answer = ask(server.port, head(None, more="Transfer-Encoding: chunked\r\n"), sent, b"0\r\n\r\n")
    assert answer.status == 200


def test_paths_and_methods_that_are_not_served(server: RunningServer) -> None:
    for path in (
        "/v1",
        "/v1/audio/translations",
        "/v1/models/",
        "/v1/models/nope",
        "/admin/reload",
        "/nope",
        "/%00",
    ):
        answer = server.client.get(path)
        assert answer.status_code == 404
        assert answer.headers["x-request-id"]
        check_error(answer.json())
    answer = server.client.get(PATH)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["x-request-id"]
    assert check_error(answer.json())["code"] == "method_not_allowed"
    assert server.metric('sewd_requests_total{endpoint="other",status="405"}') >= 1


FIELDS = {
    "response_format": ["diarized_json", "xml", "JSON", "\0", "x" * 10_000],
    "timestamp_granularities[]": ["letter"],
    "stream": ["perhaps"],
    "temperature": ["abc", "-1", "1.1", "nan"],
    "sewd_vad": ["2"],
    "sewd_hotword": ["one"],
    "sewd_decoder": ["best"],
    "sewd_beam_width": ["0", "-1", "1.5", "513", "00000000055", "1" * 5000, "\u0663\u0663\u0663\u0663"],
    "sewd_hotwords": [
        "a=b",
        "one=nan",
        "one=inf",
        "one=1e999",
        "=5",
        "\0=5",
        "one=" + "9" * 400,
        "\U0001f600",
    ],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in FIELDS.items() for value in values]
)
def test_a_wrong_value_of_a_field_is_named(server: RunningServer, name: str, value: str) -> None:
    answer = send(server, form(WAV, **{name: value}))
    error = answer.error
    assert answer.status == 400, error
    assert error["param"] in (name.removesuffix("[]"), "sewd_decoder"), error
    assert len(error["message"]) < 4000


def test_an_unknown_model_is_named(server: RunningServer) -> None:
    for name in ("whisper-1", "x" * 5000, "\0"):
        answer = send(server, form(WAV, model=name))
        assert (answer.status, answer.error["code"], answer.error["param"]) == (
            404,
            "model_not_found",
            "model",
        )
        assert len(answer.error["message"]) < 4000
    answer = server.post(CLIPS[0], "/v1/audio/classifications")
    assert answer.status_code == 404
    assert check_error(answer.json())["message"] == "no model for classification is served here"


def test_a_path_in_place_of_a_file_is_named(server: RunningServer) -> None:
    answer = send(server, part("file", "speech.flac") + END)
    assert answer.status == 400 and "file=@PATH" in answer.error["message"]
    assert send(server, part("file", WAV) + END).status == 200


def test_a_stream_that_cannot_begin_is_an_error_like_all_others(server: RunningServer) -> None:
    answer = send(server, form(b"no audio", stream="true"))
    assert (answer.status, answer.error["code"]) == (400, "invalid_audio")


def test_a_websockets_path_says_what_it_is(server: RunningServer) -> None:
    answer = server.client.get("/v1/realtime")
    assert (answer.status_code, check_error(answer.json())["code"]) == (400, "websocket_expected")


def _wav(
    *,
    rate: int = 16000,
    channels: int = 1,
    bits: int = 16,
    size: int | None = None,
    data: bytes = b"\0" * 3200,
) -> bytes:
    size = len(data) if size is None else size
    block = channels * bits // 8
    code = struct.pack("<HHIIHH", 1, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + size & 0xFFFFFFFF)
        + b"WAVEfmt \x10\0\0\0"
        + code
        + b"data"
        + struct.pack("<I", size)
        + data
    )


UNFIT = {
    "text": b"Hello, this is no audio. " * 100,
    "zeros": bytes(10_000),
    "one byte": b"R",
    "only a header": _wav(data=b""),
    "rate 0": _wav(rate=0),
    "rate 1": _wav(rate=1),
    "rate 2^31": _wav(rate=2**31),
    "rate 2^32 - 1": _wav(rate=2**32 - 1),
    "no channels": _wav(channels=0),
    "1000 channels": _wav(channels=1000, data=b"\0" * 200_000),
    "33 channels": _wav(channels=33, data=b"\0" * 6600),
    "0 bits": _wav(bits=0),
    "not finite": b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0"
    + struct.pack("<HHIIHH", 3, 1, 16000, 64000, 4, 32)
    + b"data"
    + struct.pack("<I", 6400)
    + b"\xff" * 6400,
}


@pytest.mark.parametrize("content", UNFIT.values(), ids=UNFIT)
def test_a_recording_that_is_unfit_is_refused(server: RunningServer, content: bytes) -> None:
    answer = send(server, form(content))
    assert answer.status == 400, answer.body
    assert answer.error["param"] == "file"
    assert "/" not in answer.error["message"].replace("/v1", "")


@pytest.mark.parametrize("size", [0, 1, 2**31, 2**32 - 1])
def test_a_size_that_a_header_forges_does_no_harm(server: RunningServer, size: int) -> None:
    assert send(server, form(_wav(size=size, data=bytes(64_000)))).status in (200, 400)


@pytest.mark.parametrize("begin", [b"\x1a\x45\xdf\xa3", b"\0\0\0\x20ftypM4A "], ids=["webm", "m4a"])
def test_containers_of_browsers_that_hold_nothing_are_refused(server: RunningServer, begin: bytes) -> None:
    answer = send(server, form(begin + bytes(1000)))
    expected = (415, "unsupported_format") if find_spec("av") is None else (400, "invalid_audio")
    assert (answer.status, answer.error["code"]) == expected
