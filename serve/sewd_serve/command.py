"""``sewd serve``."""

import argparse
import re
from pathlib import Path

from sewd_runtime.bundle.hub import Repository
from sewd_runtime.commands._command import WHICH_MODEL, parse_count, parse_seconds
from sewd_runtime.commands._model import add_variant, parse_threads
from sewd_runtime.errors import MissingPackageError
from sewd_runtime.system.machine import available_cores
from sewd_serve.settings import Limits, Settings
from sewd_serve.worker.messages import CHUNK_S, Bundle, Setup

_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s]+")
"""As browsers send it: a scheme, a host and perhaps a port, without a slash at the end."""

HELP = "Serve bundles over HTTP and websockets, with OpenAI's interfaces."
EXAMPLES = """\
  sewd serve
  sewd serve my-bundle de=bundles/german --precision int8 --port 9000
  curl -F file=@speech.wav http://127.0.0.1:8000/v1/audio/transcriptions
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    group = command.add_argument_group("models")
    text = f"{WHICH_MODEL}; NAME=BUNDLE to choose its name for clients, otherwise its last part"
    group.add_argument("bundles", nargs="*", metavar="BUNDLE", help=text)
    add_variant(group, default="what the provider prefers: fp32, on GPUs fp16", auto=False)
    text = "the models' language, such as en: requests for another are refused (default: any)"
    group.add_argument("--language", metavar="CODE", help=text)
    group = command.add_argument_group("network")
    group.add_argument(
        "--host", default="127.0.0.1", help="address to bind (default: 127.0.0.1, this machine only)"
    )
    group.add_argument("--port", type=_parse_port, default=8000, help="(default: 8000; 0: any that is free)")
    text = "also serve Home Assistant on this port (needs sewd[wyoming])"
    group.add_argument("--wyoming", type=_parse_port, metavar="PORT", help=text)
    text = "file with a key on each line, of which every request needs one (default: no key is asked for)"
    group.add_argument("--api-key-file", type=Path, metavar="FILE", help=text)
    text = "web page that may call from a browser, such as https://example.org; may be repeated"
    group.add_argument(
        "--allow-origin", action="append", default=[], type=_parse_origin, metavar="ORIGIN", help=text
    )
    group.add_argument("--admin", action="store_true", help="serve POST /admin/reload")
    group.add_argument("--no-page", action="store_true", help="do not serve the page at /")
    _add_load(command)


def _add_load(command: argparse.ArgumentParser) -> None:
    limits = Limits()
    group = command.add_argument_group("load")
    text = "recordings that run at once (default: one for each core that may be used)"
    group.add_argument("--workers", type=parse_count, metavar="N", help=text)
    group.add_argument(
        "--threads", type=parse_threads, metavar="N", default=1, help="CPU threads of each (default: 1)"
    )
    text = f"recordings that may wait or run; one more is refused with 429 (default: {limits.waiting})"
    group.add_argument("--queue", type=parse_count, metavar="N", default=limits.waiting, help=text)
    text = f"live streams at once (default: {limits.streams})"
    group.add_argument("--streams", type=parse_count, metavar="N", default=limits.streams, help=text)
    text = f"live speech for each run of the model: more serves more streams, later (default: {CHUNK_S:g})"
    group.add_argument("--chunk", type=parse_seconds, metavar="S", default=CHUNK_S, help=text)
    text = f"bytes of one upload (default: {limits.upload_bytes})"
    group.add_argument("--max-bytes", type=parse_count, metavar="N", default=limits.upload_bytes, help=text)
    text = f"seconds of audio of one upload (default: {limits.duration_s:g})"
    group.add_argument(
        "--max-duration", type=parse_seconds, metavar="S", default=limits.duration_s, help=text
    )
    text = "folder in which a folder for uploads is made (default: the system's for temporary files)"
    group.add_argument("--spool", type=Path, metavar="DIR", help=text)


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C, and return the exit code."""
    try:
        from sewd_serve.server import serve  # starlette and uvicorn, which help does not need
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"{error.name} is missing: pip install 'sewd[server]'") from error

    return serve(_settings(options), host=options.host, port=options.port, wyoming_port=options.wyoming)


def _settings(options: argparse.Namespace) -> Settings:
    limits = Limits(
        waiting=options.queue,
        streams=options.streams,
        upload_bytes=options.max_bytes,
        duration_s=options.max_duration,
    )
    bundles = tuple(map(_bundle, options.bundles)) or (Bundle(name="digits", path=None),)
    if not all(bundle.name for bundle in bundles):
        options.error(f"{', '.join(options.bundles)}: a model has no name; give NAME=BUNDLE")
    names = [bundle.name for bundle in bundles]
    if len(set(names)) < len(names):
        options.error(f"{', '.join(names)}: two models have one name; give NAME=BUNDLE")
    setup = Setup(
        bundles=bundles,
        precision=options.precision,
        provider=options.provider,
        workers=options.workers or available_cores(),
        threads=options.threads,
    )
    return Settings(
        setup=setup,
        limits=limits,
        language=options.language and options.language.split("-")[0].lower(),
        keys=_keys(options),
        origins=tuple(options.allow_origin),
        admin=options.admin,
        page=not options.no_page,
        spool=options.spool,
        chunk_s=options.chunk,
    )


def _keys(options: argparse.Namespace) -> tuple[str, ...]:
    from sewd_serve.keys import read_keys

    try:
        return () if options.api_key_file is None else read_keys(options.api_key_file)
    except ValueError as error:
        options.error(str(error))
    except OSError as error:
        options.error(f"{options.api_key_file}: {error.strerror}")
    raise AssertionError


def _parse_port(text: str) -> int:
    if not text.isdecimal() or len(text) > 5 or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 0 to 65535")
    return int(text)


def _parse_origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an origin, such as https://example.org, or *")
    return text


def _bundle(text: str) -> Bundle:
    name, equals, path = text.partition("=")
    if equals:
        return Bundle(name=name, path=path)
    repository = None if Path(text).exists() else Repository.from_text(text)
    return Bundle(name=Path(repository.hub_id if repository else text).resolve().name, path=text)
