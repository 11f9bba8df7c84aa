"""The golden utterance: a recording in the bundle, with the original model's output for it."""

import io
import zipfile
from dataclasses import dataclass

import numpy as np

from sewd_runtime._types import Output, Samples
from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.bundle.manifest import GOLDEN_NAME, Tolerance
from sewd_runtime.errors import BundleError, PrecisionError
from sewd_runtime.inference.session import Session, pad
from sewd_runtime.inference.variants import Variant, find_variant


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenResult:
    """The error of one precision against the original on this machine, and the tolerance.

    peak: the largest magnitude of the original's output.
    """

    precision: str
    max_abs: float
    relative: float
    peak: float
    tolerance: Tolerance

    @property
    def passed(self) -> bool:
        """Whether both errors are within the tolerance; NaN never is."""
        allowed = self.tolerance.max_abs_at(self.peak)
        return self.max_abs <= allowed and self.relative <= self.tolerance.relative


def check_golden(
    bundle: Bundle, precision: str, *, provider: str = "cpu", threads: int | None = None
) -> GoldenResult:
    """Run the golden utterance in one precision and compare with the original's output.

    Raises BundleError for a bad golden file, and what loading the model raises.
    """
    variant = find_variant(bundle.manifest, provider, precision)
    return compare_golden(bundle, variant, variant.open(bundle, threads=threads))


def compare_golden(bundle: Bundle, variant: Variant, session: Session) -> GoldenResult:
    """As ``check_golden``, in an open session."""
    samples, expected = read_golden(bundle)
    output, lengths = session.run(*pad([samples]))
    actual = output[0] if output.ndim == 2 else output[0, : lengths[0]]
    if actual.shape != expected.shape:
        raise BundleError(
            f"{bundle.path}: {variant} gives {actual.shape} for the golden utterance, not {expected.shape}; "
            f"export it again"
        )
    difference = actual.astype(np.float64) - expected
    return GoldenResult(
        precision=variant.precision,
        max_abs=float(np.abs(difference).max()),
        peak=float(np.abs(expected).max()),
        relative=float(np.linalg.norm(difference)) / max(float(np.linalg.norm(expected)), 1e-30),
        tolerance=variant.tolerance,
    )


def require_golden(bundle: Bundle, variant: Variant, session: Session) -> None:
    """Raise PrecisionError if a variant misses its tolerance on this machine."""
    result = compare_golden(bundle, variant, session)
    if not result.passed:
        raise PrecisionError(
            f"{bundle.path}: on this machine {variant} is off by {result.max_abs:.1e} "
            f"({result.relative:.1e} relative) for the golden utterance, more than allowed; choose another"
        )


def read_golden(bundle: Bundle) -> tuple[Samples, Output]:
    """Return the golden utterance, ``(samples,)`` float32, and the original's output, without batch axis."""
    where = bundle.path / GOLDEN_NAME
    content = io.BytesIO(bundle.read_bytes(GOLDEN_NAME))
    try:
        with np.load(content, allow_pickle=False) as arrays:
            samples, expected = arrays["samples"], arrays["expected"]
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise BundleError(f"{where}: must have the arrays samples and expected: {error}") from error
    if samples.dtype != np.float32 or expected.dtype != np.float32 or samples.ndim != 1 or not expected.size:
        raise BundleError(f"{where}: samples must be (samples,) float32, expected float32 and not empty")
    return samples, expected
