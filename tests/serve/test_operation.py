"""A server's life: start, signals, a worker that dies or hangs, reloading, keys, origins, logs, files."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import create_connection, socket
from threading import Event, Thread

import pytest
from websockets.exceptions import InvalidStatus

import sewd_runtime
from sewd_runtime import Recognizer
from tests.serve.realtime import session
from tests.serve.running import RunningServer, running, wait_until, with_limits
from tests.serve.sockets import ask, check_error, connected, form, head, receive
from tests.serve.test_files import CLIPS

WAV = CLIPS[0].read_bytes()
BODY = form(WAV)
DATA = Path(__file__).parents[1] / "data"
DIGITS = Path(sewd_runtime.__file__).parent / "models" / "digits"


@contextmanager
def half_sent(server: RunningServer, number: int) -> Iterator[list[socket]]:
    """Requests that were accepted and not received whole."""
    with ExitStack() as stack:
        parts = (head(len(BODY)), BODY[:1000])
        yield [stack.enter_context(connected(server.port, *parts)) for _ in range(number)]


def wait_received(server: RunningServer, number: int) -> None:
    wait_until(lambda: len([*server.spool().iterdir()]) == number)


def run(*arguments: str, code: str = "") -> tuple[int, str]:
    """A server that does not start: its exit code and what it says."""
    program = f"import sys; {code}\nfrom sewd_runtime.cli import main\nsys.exit(main(sys.argv[1:]))"
    result = subprocess.run(
        [sys.executable, "-c", program, "serve", "--port", "0", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in result.stderr
    return result.returncode, result.stderr


def test_sigterm_answers_what_was_accepted_and_refuses_the_rest(tmp_path: Path) -> None:
    with running(log=tmp_path / "log") as server, half_sent(server, 6) as connections:
        wait_received(server, 6)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not _listens(server.port))
        for connection in connections:
            connection.sendall(BODY[1000:])
        assert [receive(connection).status for connection in connections] == [200] * 6
        assert server.process.wait(30) == 0
        assert not any(server.folder.iterdir())


def _listens(port: int) -> bool:
    try:
        create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(tmp_path: Path, second: signal.Signals) -> None:
    with running(log=tmp_path / "log") as server, half_sent(server, 2):
        wait_received(server, 2)
        worker = server.worker_pid()
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not _listens(server.port))
        server.process.send_signal(second)
        assert server.process.wait(10) == 130
        assert not any(server.folder.iterdir())
        assert not Path(f"/proc/{worker}").exists()
        assert "Traceback" not in server.log.read_text()


def test_what_is_not_done_when_the_time_to_stop_runs_out_is_answered_with_503(tmp_path: Path) -> None:
    program = with_limits(drain_s=1.0)
    with running(log=tmp_path / "log", program=program) as server, half_sent(server, 2) as connections:
        wait_received(server, 2)
        server.process.send_signal(signal.SIGTERM)
        for connection in connections:
            answer = receive(connection)
            assert (answer.status, answer.error["code"]) == (503, "unavailable")
        assert server.process.wait(30) == 0


def test_a_signal_while_models_load_ends_at_once(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "sewd_runtime", "serve", "--port", "0"],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(lambda: children.read_text() != "")  # the models are loaded in the server's child
    assert any(tmp_path.iterdir())
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) in (0, 130)
    assert not any(tmp_path.iterdir())


def test_a_worker_that_is_killed_fails_what_it_had_and_nothing_else(tmp_path: Path) -> None:
    with running(log=tmp_path / "log") as server, half_sent(server, 2) as waiting, ExitStack() as stack:
        wait_received(server, 2)
        worker = server.worker_pid()
        os.kill(worker, signal.SIGSTOP)
        taken = [stack.enter_context(connected(server.port, head(len(BODY)), BODY)) for _ in range(4)]
        wait_until(lambda: [each.stat().st_size for each in server.spool().iterdir()].count(len(WAV)) == 4)
        os.kill(worker, signal.SIGKILL)
        for connection in taken:
            answer = receive(connection)
            assert (answer.status, answer.error["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
        server.wait_ready()
        assert server.client.get("/health/live").status_code == 200
        for connection in waiting:
            connection.sendall(BODY[1000:])
            assert receive(connection).status == 200
        assert server.metric("sewd_worker_restarts") == 1


def test_a_worker_that_hangs_is_replaced(tmp_path: Path) -> None:
    with running(log=tmp_path / "log", program=with_limits(stalled_s=1.0)) as server:
        worker = server.worker_pid()
        os.kill(worker, signal.SIGSTOP)
        wait_until(lambda: server.client.get("/health/live").status_code == 503)
        server.wait_ready()
        assert server.client.get("/health/live").status_code == 200
        assert server.worker_pid() != worker
        assert server.transcribe(CLIPS[0])["text"]


def test_a_server_that_is_killed_leaves_no_worker(tmp_path: Path) -> None:
    with running(log=tmp_path / "log") as server:
        worker = server.worker_pid()
        server.process.kill()
        server.process.wait(30)
        wait_until(lambda: not Path(f"/proc/{worker}").exists())


def test_what_cannot_start_says_why(tmp_path: Path) -> None:
    code, text = run(str(tmp_path / "nothing"))
    assert code == 3 and "nothing" in text
    broken = shutil.copytree(DATA / "tiny", tmp_path / "broken")
    (broken / "model.fp32.onnx").write_bytes(b"x")
    code, text = run(str(broken))
    assert code == 3 and "model.fp32.onnx" in text
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, text = run("--port", port)
        assert code == 3 and port in text
    code, text = run("--spool", str(tmp_path / "absent"))
    assert code == 3 and "absent" in text
    code, text = run("--host", "no-such-host.invalid")
    assert code == 3 and "no-such-host.invalid" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--port", "65536"), "65536"),
        (("--port", "-1"), "-1"),
        (("--api-key-file", "absent"), "absent"),
        (("a=x", "a=y"), "NAME=BUNDLE"),
        (("=x",), "NAME=BUNDLE"),
        (("--allow-origin", "example.org"), "https://example.org"),
        (("--allow-origin", "https://example.org/"), "https://example.org"),
        (("--queue", "0"), "0"),
        (("--max-duration", "nan"), "nan"),
    ],
)
def test_wrong_usage_is_named(arguments: tuple[str, ...], message: str) -> None:
    code, text = run(*arguments)
    assert code == 2 and message in text


@pytest.mark.parametrize(
    "module", ["starlette", "uvicorn", "python_multipart", "prometheus_client", "httptools"]
)
def test_a_missing_package_is_named(module: str) -> None:
    code, text = run(code=f"sys.modules[{module!r}] = None")
    assert code == 3
    assert "pip install 'sewd[server]'" in text


@pytest.mark.parametrize("how", ["SIGHUP", "/admin/reload"])
def test_a_bundle_is_replaced_without_losing_a_request(tmp_path: Path, how: str) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(DATA / "tiny", bundle)
    with running(f"m={bundle}", "--admin", log=tmp_path / "log") as server:
        before = server.transcribe(CLIPS[0])["text"]
        with _asking(server) as statuses:
            _exchange(bundle, DIGITS)
            _reload(server, how)
            expected = Recognizer.load(threads=1).transcribe(CLIPS[0]).text
            wait_until(lambda: server.transcribe(CLIPS[0])["text"] == expected)
        assert expected != before
        assert statuses and set(statuses) == {200}
        (bundle / "bundle.json").write_text("{}")
        answer = server.client.post("/admin/reload")
        assert answer.status_code == 500
        assert "bundle.json" in check_error(answer.json())["message"]
        assert server.transcribe(CLIPS[0])["text"] == expected


def _exchange(bundle: Path, other: Path) -> None:
    shutil.rmtree(bundle)
    shutil.copytree(other, bundle)


def _reload(server: RunningServer, how: str) -> None:
    if how == "SIGHUP":
        server.process.send_signal(signal.SIGHUP)
        return
    answer = server.client.post(how)
    assert [model["id"] for model in answer.json()["data"]] == ["m"]


@contextmanager
def _asking(server: RunningServer) -> Iterator[list[int]]:
    """Ask in two threads all the while."""
    statuses: list[int] = []
    ended = Event()

    def work() -> None:
        while not ended.is_set():
            statuses.append(ask(server.port, head(len(BODY)), BODY).status)

    threads = [Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_keys(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# ours\nfirst-key\n\n  second-key  # not a comment\n".replace("  # not a comment", ""))
    with running("--api-key-file", str(keys), "--admin", log=tmp_path / "log") as server:
        for given in ("first-key", "second-key"):
            server.client.headers["Authorization"] = f"Bearer {given}"
            assert server.transcribe(CLIPS[0])["text"]
        refused = ["", "Bearer", "Bearer first", "Bearer # ours", "Basic first-key", "first-key"]
        refused += [
            "Bearer first-key second-key",
            "Bearer first-key\udcff",
            "Bearer ek_9999999999.a.b",
            "Bearer ek_..",
        ]
        for header in refused:
            headers = {b"Authorization": header.encode("utf-8", "surrogateescape")}
            for path in ("/v1/models", "/metrics", "/nothing"):
                answer = server.client.get(path, headers=headers)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == "Bearer"
                assert answer.headers["x-request-id"]
                assert check_error(answer.json())["code"] == "invalid_api_key"
            assert server.client.post("/admin/reload", headers=headers).status_code == 401
            assert server.client.get("/health/ready", headers=headers).status_code == 200
        with connected(server.port, head(10_000)) as connection:  # refused before its body
            assert receive(connection).status == 401
        assert "first-key" not in server.log.read_text()


@pytest.mark.parametrize("content", ["", "\n\n# only a comment\n", "a key\n", "schl\u00fcssel\n"])
def test_a_file_without_a_usable_key_does_not_open_the_server(tmp_path: Path, content: str) -> None:
    keys = tmp_path / "keys"
    keys.write_text(content, encoding="utf-8")
    code, text = run("--api-key-file", str(keys))
    assert code == 2
    assert "keys: " in text


def test_pages_may_call_only_if_they_are_allowed(tmp_path: Path, server: RunningServer) -> None:
    page = {"Origin": "https://page.example"}
    preflight = page | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }

    def allowed(server: RunningServer, headers: dict[str, str]) -> set[str | None]:
        answers = [
            server.client.get("/v1/models", headers=headers),
            server.client.get("/nothing", headers=headers),
            server.client.options("/v1/audio/transcriptions", headers=headers),
        ]
        return {answer.headers.get("access-control-allow-origin") for answer in answers}

    assert allowed(server, preflight) == {None}
    server.client.headers["Origin"] = page["Origin"]  # a form of that page, which needs no preflight
    assert server.post(CLIPS[0]).status_code == 403
    server.client.headers["Origin"] = server.url
    assert server.post(CLIPS[0]).status_code == 200
    del server.client.headers["Origin"]
    with running("--allow-origin", "https://page.example", log=tmp_path / "log") as open_server:
        assert allowed(open_server, preflight) == {"https://page.example"}
        assert allowed(open_server, preflight | {"Origin": "https://other.example"}) == {None}


def test_the_log_has_request_ids_and_nothing_of_clients(server: RunningServer) -> None:
    secret = "s3cr3t"
    answers = [
        ask(server.port, head(len(body), path=f"/v1/audio/transcriptions?{secret}=1"), body)
        for body in (
            form(WAV, prompt=secret, response_format="text"),
            form(WAV, model=secret),
            form(WAV, sewd_hotwords=f"{secret}=nan"),
            form(secret.encode() * 100),
            BODY.replace(b"a.wav", f"{secret}.wav".encode()),
            BODY[:-100],
        )
    ]
    assert [answer.status for answer in answers] == [200, 404, 400, 400, 200, 400]
    answers.append(ask(server.port, f"GET /{secret} HTTP/1.1\r\nHost: {secret}\r\n\r\n".encode()))
    answers.append(ask(server.port, f"{secret} HTTP/1.1\r\n\r\n".encode()))
    answers.append(
        ask(server.port, f"GET /{secret} HTTP/1.1\r\nHost: a\r\nUpgrade: {secret}\r\n\r\n".encode())
    )
    spoken = server.transcribe(CLIPS[0])["text"]
    with session(server, additional_headers={"X-Request-Id": f"of {secret}"}):
        pass
    with pytest.raises(InvalidStatus), session(server, f"?model={secret}"):
        pass
    wait_until(lambda: '"session"' in server.log.read_text())
    log = server.log.read_text()
    assert '"error"' not in log
    assert secret not in log
    assert spoken not in log
    assert str(server.folder) not in log
    logged = [line.get("request_id") for line in server.log_lines()]
    assert all(answers[number].headers["x-request-id"] in logged for number in range(7))
    given = server.client.get("/v1/models", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"]
    assert given == "mine-1"
    for unfit in ("two words", "x" * 65, '{"a"}', "\u00fc"):
        answer = server.client.get("/v1/models", headers={b"X-Request-Id": unfit.encode()})
        assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize("home", [None, ""])
def test_nothing_is_written_outside_the_folder_of_uploads(tmp_path: Path, home: str | None) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    environment = {"HOME": str(folder) if home is None else home, "XDG_CACHE_HOME": str(folder)}
    with running(log=tmp_path / "log", environment=environment) as server:
        assert server.transcribe(CLIPS[0])["text"]
        assert server.spool().stat().st_mode & 0o777 == 0o700
        assert [path.name for path in server.folder.iterdir()] == [server.spool().name]
        assert server.stop() == 0
        assert not any(server.folder.iterdir())
    assert not any(folder.iterdir())


def test_several_models(tmp_path: Path) -> None:
    tiny, classifier = DATA / "tiny", DATA / "tiny-classifier"
    with running("digits", f"org/small={tiny}", str(classifier), log=tmp_path / "log") as server:
        listed = server.client.get("/v1/models").json()["data"]
        assert [model["id"] for model in listed] == ["digits", "org/small", "tiny-classifier"]
        assert server.client.get("/v1/models/org/small").json()["id"] == "org/small"
        default = server.transcribe(CLIPS[0])["text"]
        assert server.transcribe(CLIPS[0], model="digits")["text"] == default
        assert server.transcribe(CLIPS[0], model="org/small")["text"] != default
        labels = sewd_runtime.load(classifier)
        assert isinstance(labels, sewd_runtime.Classifier)
        expected = labels.classify(CLIPS[0])
        for fields in ({}, {"model": "tiny-classifier"}):
            answer = server.post(CLIPS[0], "/v1/audio/classifications", **fields).json()
            assert answer["label"] == expected.labels[0]
        answer = server.post(CLIPS[0], "/v1/audio/classifications", model="digits")
        assert answer.status_code == 400
        assert check_error(answer.json())["param"] == "model"
        answer = server.post(CLIPS[0], model="tiny-classifier")
        assert answer.status_code == 400
        assert check_error(answer.json())["param"] == "model"
        assert "transcription" in answer.json()["error"]["message"]
        assert server.post(CLIPS[0], "/v1/audio/classifications", top_k="0").status_code == 400


def test_no_module_of_the_working_folder_is_imported(tmp_path: Path) -> None:
    for name in ("numpy", "onnxruntime", "soundfile", "sewd_runtime"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('planted')")
    command = [Path(sys.executable).with_name("sewd"), "serve", "--port", "0"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        assert "serving digits" in process.stderr.readline()
    finally:
        process.terminate()
        process.communicate(timeout=60)
