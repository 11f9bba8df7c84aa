"""The log: lines for people on a terminal, JSON for machines elsewhere; never names, paths or texts."""

import json
import logging
import sys
import time

_FIELDS = ("endpoint", "status", "seconds", "request_id")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        content = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **{name: getattr(record, name) for name in _FIELDS if hasattr(record, name)},
        }
        if record.exc_info:
            content["exception"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False)


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = [f"{name}={getattr(record, name)}" for name in _FIELDS if hasattr(record, name)]
        return " ".join(["sewd:", super().format(record), *fields])


def set_up_logs() -> None:
    """Send the log of this process to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines() if sys.stderr.isatty() else _JsonLines())
    log = logging.getLogger("sewd")
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
    others = logging.getLogger()
    others.handlers = [handler]
    others.setLevel(logging.ERROR)  # warnings of libraries quote what clients sent
