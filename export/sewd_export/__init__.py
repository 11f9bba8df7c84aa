"""Export SEW-D checkpoints to verified bundles that run without torch.

Names are loaded when first used, so that the command can speak before torch is imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors read in place of _PUBLIC
    from sewd_export.errors import ExportError as ExportError
    from sewd_export.exporter import Exported as Exported
    from sewd_export.exporter import export as export
    from sewd_export.parity.report import ParityReport as ParityReport
    from sewd_export.passes import optimize as optimize
    from sewd_export.tracing import trace as trace
    from sewd_export.verification import verify as verify

_PUBLIC = {
    "errors": ["ExportError"],
    "exporter": ["Exported", "export"],
    "parity.report": ["ParityReport"],
    "passes": ["optimize"],
    "tracing": ["trace"],
    "verification": ["verify"],
}
"""Module → the public names that it defines."""

_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_MODULE_OF)


if not TYPE_CHECKING:  # a type checker would take every name for a public one

    def __getattr__(name: str) -> Any:
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'sewd_export' has no attribute {name!r}")
        value = getattr(import_module(f"sewd_export.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
