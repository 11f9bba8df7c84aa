"""The public names, in one list: ``sewd_export`` takes them from here when one is first used."""

from sewd_export.addition import add as add
from sewd_export.errors import ExportError as ExportError
from sewd_export.exporter import Exported as Exported
from sewd_export.exporter import export as export
from sewd_export.parity.report import ParityReport as ParityReport
from sewd_export.passes import optimize as optimize
from sewd_export.tracing import trace as trace
from sewd_export.verification import verify as verify
