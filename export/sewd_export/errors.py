"""Every error that the exporter raises on purpose.

SewdError                                              the runtime's root
└── ExportError
    ├── CheckpointError             ValueError         the checkpoint cannot be used
    │   ├── CheckpointNotFoundError FileNotFoundError  no folder, embedded model or hub id; a file is missing
    │   ├── CheckpointReadError                        a file is truncated, not JSON, or of another kind
    │   ├── UnsafeCheckpointError                      a pickle runs code, or an index leaves the folder
    │   ├── UnknownTaskError                           neither config.json nor the weights show the task
    │   ├── TokenizerError                             vocab.json is missing or does not fit a CTC model
    │   └── WeightError             KeyError           weights are missing, unexpected, of the wrong shape
    ├── UnsupportedConfigError      NotImplementedError  a configuration field has an unsupported value
    ├── BoundError                  ArithmeticError    no mix of precisions meets the bound on errors
    ├── TraceError                  RuntimeError       the model could not be turned into a graph
    ├── EngineBuildError            RuntimeError       TensorRT does not support the graph, or its build fails
    └── ParityError                 ArithmeticError    a precision misses its tolerance

A message says what is wrong, where, and what to do.

One UserWarning: ExportWarning says what a run that was killed has left, if it cannot be removed.
"""

from __future__ import annotations

from collections.abc import Sequence

from sewd_runtime.errors import SewdError


class ExportError(SewdError):
    """Root of the exporter's errors."""


class CheckpointError(ExportError, ValueError):
    """The checkpoint cannot be used."""


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """There is no such checkpoint, or its folder has no weights."""


class CheckpointReadError(CheckpointError):
    """A file of the checkpoint is truncated, not JSON, or not what its name says."""


class UnsafeCheckpointError(CheckpointError):
    """A pickle would run code, or an index names a file outside the folder."""


class UnknownTaskError(CheckpointError):
    """Neither config.json nor the weights show which head the model has."""


class TokenizerError(CheckpointError):
    """The tokenizer's files are missing or do not fit a CTC model."""


class WeightError(CheckpointError, KeyError):
    """Weights are missing, unexpected or of the wrong shape; the message names the first and counts the rest.

    missing, unexpected: parameter names of the original model.
    wrong_shape: one line each, `name (found) instead of (expected)`.
    """

    def __init__(
        self,
        where: str,
        *,
        missing: Sequence[str] = (),
        unexpected: Sequence[str] = (),
        wrong_shape: Sequence[str] = (),
    ) -> None:
        self.missing = tuple(missing)
        self.unexpected = tuple(unexpected)
        self.wrong_shape = tuple(wrong_shape)
        kinds = {"missing": missing, "unexpected": unexpected, "wrong shape": wrong_shape}
        named = "; ".join(f"{kind}: {_shortened(names)}" for kind, names in kinds.items() if names)
        super().__init__(f"{where}: the weights do not fit config.json. {named}")


def _shortened(names: Sequence[str]) -> str:
    shown = names if len(names) <= 3 else names[:1]
    more = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
    return ", ".join(f"{name:.99}" for name in shown) + more


class UnsupportedConfigError(ExportError, NotImplementedError):
    """A configuration field has a value that is not supported; the message names the field."""


class ExportWarning(UserWarning):
    """A run that was killed has left files that cannot be removed."""


class TraceError(ExportError, RuntimeError):
    """The model could not be turned into a graph."""


class BoundError(ExportError, ArithmeticError):
    """A precision exceeds the bound on its errors, however many of its matmuls stay in float32."""


class EngineBuildError(ExportError, RuntimeError):
    """TensorRT does not support the graph or the compute capability, or its build fails."""


class ParityError(ExportError, ArithmeticError):
    """A precision is further from the original than its tolerance.

    report: the table of every utterance, "" if there is none.
    """

    def __init__(self, message: str, *, report: str = "") -> None:
        super().__init__(message)
        self.report = report
