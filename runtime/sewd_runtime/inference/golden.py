"""The bundle's own proof: one utterance, and what the original model made of it."""

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
    """How far one precision is from the original on this machine, and how far it may be.

    peak: the largest magnitude of the original's output.
    """

    precision: str
    max_abs: float
    relative: float
    peak: float
    tolerance: Tolerance

    @property
    def passed(self) -> bool:
        """Whether both errors are within the tolerance; NaN is not."""
        allowed = self.tolerance.max_abs_at(self.peak)
        return self.max_abs <= allowed and self.relative <= self.tolerance.relative


def check_golden(
    bundle: Bundle, precision: str, *, provider: str = "cpu", threads: int | None = None
) -> GoldenResult:
    """Run the golden utterance through one precision and compare with the original's output.

    Raises BundleError when the golden file is unfit, and what loading the model raises.
    """
    variant = find_variant(bundle.manifest, provider, precision)
    return compare_golden(bundle, variant, variant.open(bundle, threads=threads))


def compare_golden(bundle: Bundle, variant: Variant, session: Session) -> GoldenResult:
    """As ``check_golden``, in a session that is open."""
    samples, expected = read_golden(bundle)
    output, lengths = session.run(*pad([samples]))
    found = output[0] if bundle.manifest.task == "classification" else output[0, : lengths[0]]
    if found.shape != expected.shape:
        raise BundleError(
            f"{bundle.path}: {variant} gives {found.shape} for the golden utterance, not {expected.shape}"
        )
    difference = found.astype(np.float64) - expected
    return GoldenResult(
        precision=variant.precision,
        max_abs=float(np.abs(difference).max()),
        peak=float(np.abs(expected).max()),
        relative=float(np.linalg.norm(difference)) / max(float(np.linalg.norm(expected)), 1e-30),
        tolerance=variant.tolerance,
    )


def require_golden(bundle: Bundle, variant: Variant, session: Session) -> None:
    """Raise PrecisionError when a variant misses its tolerance on this machine."""
    result = compare_golden(bundle, variant, session)
    if not result.passed:
        raise PrecisionError(
            f"{bundle.path}: on this machine {variant} is off by {result.max_abs:.1e} "
            f"({result.relative:.1e} relative) for the golden utterance, more than is allowed; choose another"
        )


def read_golden(bundle: Bundle) -> tuple[Samples, Output]:
    """Return the golden utterance, ``(samples,)`` float32, and the original's output, without batch axis."""
    where = bundle.path / GOLDEN_NAME
    content = io.BytesIO(bundle.read_bytes(GOLDEN_NAME))
    try:
        with np.load(content, allow_pickle=False) as arrays:
            samples, expected = arrays["samples"], arrays["expected"]
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise BundleError(f"{where}: must hold the arrays samples and expected: {error}") from error
    if samples.dtype != np.float32 or expected.dtype != np.float32 or samples.ndim != 1 or not expected.size:
        raise BundleError(f"{where}: samples must be (samples,) float32, expected float32 and not empty")
    return samples, expected
