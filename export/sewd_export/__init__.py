"""Export SEW-D checkpoints to verified bundles that run without torch.

Names are loaded when first used, so that the command can speak before torch is imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sewd_export.errors import ExportError

if TYPE_CHECKING:
    from sewd_export.exporter import Exported, export
    from sewd_export.parity.report import ParityReport
    from sewd_export.passes import optimize
    from sewd_export.tracing import trace
    from sewd_export.verification import verify

__all__ = ["ExportError", "Exported", "ParityReport", "export", "optimize", "trace", "verify"]

_HOMES = {
    "Exported": "exporter",
    "ParityReport": "parity.report",
    "export": "exporter",
    "optimize": "passes",
    "trace": "tracing",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sewd_export' has no attribute {name!r}")
    value = getattr(import_module(f"sewd_export.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
