"""The page's files over HTTP; tests/page opens it in a browser."""

from pathlib import Path

from sewd_runtime import Recognizer, as_srt, as_vtt
from tests.serve.running import RunningServer, running

ROOT = Path(__file__).parents[2]
SHARED = ROOT / "web/site/page"
FILES = [*(ROOT / "serve/sewd_serve/page").iterdir(), *SHARED.iterdir()]
CLIP = ROOT / "export/sewd_export/speech/awb_1.flac"


def test_every_file_is_served_with_strict_headers(server: RunningServer) -> None:
    assert server.client.get("/").content == (SHARED / "index.html").read_bytes()
    for path in FILES:
        answer = server.client.get(f"/page/{path.name}")
        assert answer.content == path.read_bytes()
        policy = answer.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'"} <= set(policy)
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_browser_that_has_a_file_is_sent_nothing(server: RunningServer) -> None:
    tag = server.client.get("/page/page.js").headers["etag"]
    again = server.client.get("/page/page.js", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_no_other_file_is_served(server: RunningServer) -> None:
    for path in ("/page/settings.py", "/page/..%2fapp.py", "/page/%2e%2e/app.py", "/page/"):
        assert server.client.get(path).status_code == 404


def test_the_page_needs_no_key_but_what_it_calls_does(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("one-key")
    with running("--api-key-file", str(tmp_path / "keys"), log=tmp_path / "log") as server:
        assert server.client.get("/").status_code == 200
        assert server.client.get("/page/page.js").status_code == 200
        assert server.client.get("/v1/models").status_code == 401


def test_the_page_can_be_left_out(tmp_path: Path) -> None:
    with running("--no-page", log=tmp_path / "log") as server:
        assert server.client.get("/").status_code == 404
        assert server.client.get("/page/page.js").status_code == 404


def test_subtitles_come_with_the_text(server: RunningServer) -> None:
    transcript = Recognizer.load(threads=1).transcribe(CLIP)
    answer = server.transcribe(CLIP, response_format="verbose_json", sewd_subtitles="true")
    assert answer["sewd_subtitles"] == {"srt": as_srt(transcript), "vtt": as_vtt(transcript)}
    assert "sewd_subtitles" not in server.transcribe(CLIP, response_format="verbose_json")
