"""Export SEW-D checkpoints to verified bundles that run without torch."""

from sewd_export.errors import ExportError
from sewd_export.exporter import Exported, export, verify
from sewd_export.parity import ParityReport
from sewd_export.passes import optimize
from sewd_export.trace import trace

__all__ = ["ExportError", "Exported", "ParityReport", "export", "optimize", "trace", "verify"]
