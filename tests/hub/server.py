"""A Hugging Face Hub on loopback: what huggingface_hub asks of one to fetch, create and commit, in memory.

It is no recording of the real one: paths, headers and error codes are those that the client's code asks for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_local"
_REPO = r"(?P<hub_id>[\w.-]+/[\w.-]+)"


@dataclass
class Repo:
    """A repository: its commits in order, each all files by name, and the commit of each revision's name."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, files: dict[str, bytes], message: str = "") -> str:
        """Add a commit to main with these files over the former ones; return its hash."""
        merged = {**self.files, **files}
        sha = hashlib.sha1(repr((sorted(merged.items()), len(self.commits))).encode()).hexdigest()
        self.commits[sha] = merged
        self.refs["main"] = sha
        self.messages.append(message)
        return sha

    @property
    def files(self) -> dict[str, bytes]:
        """The files of main."""
        return self.commits[self.refs["main"]] if "main" in self.refs else {}

    def find(self, revision: str) -> str | None:
        """Return the commit that a revision names."""
        return self.refs.get(revision, revision if revision in self.commits else None)


class RefusedError(Exception):
    """An answer that is an error: its status and the Hub's code for it."""


class Hub(ThreadingHTTPServer):
    """The server: repositories by id, the uploads that no commit has yet, and what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, Repo] = {}
        self.uploads: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        """Its address, for HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add(self, hub_id: str, folder: Path | None = None, **about: bool) -> Repo:
        """Add a repository with the files of a folder."""
        repo = self.repos[hub_id] = Repo(**about)
        repo.commit({path.name: path.read_bytes() for path in folder.iterdir()} if folder else {})
        return repo

    def fetched(self) -> list[str]:
        """Return the names of the files whose content was fetched, and forget them."""
        names = [
            path.rsplit("/", 1)[1] for method, path in self.asked if method == "GET" and "/resolve/" in path
        ]
        self.asked.clear()
        return names

    def environment(self, home: Path) -> dict[str, str]:
        """Return the variables with which a program speaks to it, with a cache of its own."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_TOKEN": TOKEN,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
        }


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Run a hub until the block ends."""
    hub = Hub()
    thread = Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self._body()
        self.server.asked.append((self.command, path))
        try:
            for pattern, method in _ROUTES:
                if match := re.fullmatch(pattern, path):
                    getattr(self, method)(body=body, **match.groupdict())
                    return
            raise RefusedError(404, "NotFound")
        except RefusedError as refusal:
            status, code = refusal.args
            self._send(b"{}", status=status, headers={"X-Error-Code": code, "X-Error-Message": code})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _send(self, content: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send_json(self, value: Any) -> None:
        self._send(json.dumps(value).encode(), headers={"Content-Type": "application/json"})

    @property
    def _may_write(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _repo(self, hub_id: str, *, content: bool = False, write: bool = False) -> Repo:
        repo = self.server.repos.get(hub_id)
        if repo is None or (repo.private and not self._may_write):
            raise RefusedError(404 if self._may_write else 401, "RepoNotFound")
        if content and repo.gated:
            raise RefusedError(403, "GatedRepo")
        if write and not self._may_write:
            raise RefusedError(403, "Forbidden")
        return repo

    def _commit(self, repo: Repo, revision: str) -> str:
        sha = repo.find(revision)
        if sha is None:
            raise RefusedError(404, "RevisionNotFound")
        return sha

    def resolve(self, *, hub_id: str, revision: str, file: str, body: bytes) -> None:
        repo = self._repo(hub_id, content=True)
        sha = self._commit(repo, revision)
        content = repo.commits[sha].get(file)
        if content is None:
            raise RefusedError(404, "EntryNotFound")
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        self._send(content, headers={"ETag": etag, "X-Repo-Commit": sha})

    def info(self, *, hub_id: str, body: bytes, revision: str = "main") -> None:
        repo = self._repo(hub_id)
        sha = self._commit(repo, revision)
        files = [{"rfilename": name} for name in sorted(repo.commits[sha])]
        _, _, metadata = repo.commits[sha].get("README.md", b"").decode().partition("---\n")
        self._send_json(
            {
                "id": hub_id,
                "sha": sha,
                "private": repo.private,
                "gated": repo.gated,
                "siblings": files,
                "cardData": yaml.safe_load(metadata.partition("---\n")[0]) or {},
            }
        )

    def tree(self, *, hub_id: str, revision: str, body: bytes) -> None:
        repo = self._repo(hub_id)
        files = repo.commits[self._commit(repo, revision)]
        self._send_json(
            [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in sorted(files.items())
            ]
        )

    def create(self, *, body: bytes) -> None:
        if not self._may_write:
            raise RefusedError(401, "Unauthorized")
        asked = json.loads(body)
        hub_id = f"{asked['organization']}/{asked['name']}"
        if hub_id in self.server.repos:
            self._send(b"{}", status=409)
            return
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.server.repos[hub_id] = Repo(private=private)
        self.server.repos[hub_id].commit({})
        self._send_json({"url": f"{self.server.url}/{hub_id}"})

    def validate(self, *, body: bytes) -> None:
        assert json.loads(body)["content"].startswith("---\n")
        self._send_json({"errors": [], "warnings": []})

    def preupload(self, *, hub_id: str, revision: str, body: bytes) -> None:
        self._repo(hub_id, write=True)
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith((".onnx", ".npz")) else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(body)["files"]
        ]
        self._send_json({"files": files})

    def batch(self, *, hub_id: str, body: bytes) -> None:
        self._repo(hub_id, write=True)
        objects = [
            {**each, "actions": {"upload": {"href": f"{self.server.url}/lfs/{each['oid']}"}}}
            for each in json.loads(body)["objects"]
        ]
        self._send_json({"transfer": "basic", "objects": objects})

    def upload(self, *, oid: str, body: bytes) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        self.server.uploads[oid] = body
        self._send(b"")

    def commit(self, *, hub_id: str, revision: str, body: bytes) -> None:
        repo = self._repo(hub_id, write=True)
        header, *operations = map(json.loads, body.splitlines())
        files = {}
        for operation in operations:
            value = operation["value"]
            is_large = operation["key"] == "lfsFile"
            files[value["path"]] = (
                self.server.uploads[value["oid"]] if is_large else base64.b64decode(value["content"])
            )
        sha = repo.commit(files, header["value"]["summary"])
        self._send_json(
            {"commitOid": sha, "commitUrl": f"{self.server.url}/{hub_id}/commit/{sha}", "success": True}
        )


_ROUTES = (
    (rf"/{_REPO}/resolve/(?P<revision>[^/]+|refs/[^/]+/[^/]+)/(?P<file>[^/]+)", "resolve"),
    (rf"/api/models/{_REPO}/tree/(?P<revision>.+)", "tree"),
    (rf"/api/models/{_REPO}/preupload/(?P<revision>.+)", "preupload"),
    (rf"/api/models/{_REPO}/commit/(?P<revision>.+)", "commit"),
    (rf"/api/models/{_REPO}/revision/(?P<revision>.+)", "info"),
    (rf"/api/models/{_REPO}", "info"),
    (r"/api/repos/create", "create"),
    (r"/api/validate-yaml", "validate"),
    (rf"/{_REPO}\.git/info/lfs/objects/batch", "batch"),
    (r"/lfs/(?P<oid>\w+)", "upload"),
)
