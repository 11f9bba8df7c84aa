"""The golden utterance: a recording in the bundle, with the original model's output for it."""

from dataclasses import dataclass

import numpy as np

from sewd_runtime._types import Output, Samples
from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.bundle.manifest import GOLDEN_NAME, TASKS, Tolerance
from sewd_runtime.bundle.npz import read_npz
from sewd_runtime.errors import BundleError, PrecisionError
from sewd_runtime.inference.session import Session, pad
from sewd_runtime.inference.variants import Variant, find_variant

MAX_GOLDEN_S = 60


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
    """Return the golden utterance, ``(samples,)`` float32, and the original's output, without batch axis.

    Both are read-only. Raises BundleError.
    """
    where, manifest = str(bundle.path / GOLDEN_NAME), bundle.manifest
    samples, expected = read_npz(bundle.read_bytes(GOLDEN_NAME), ("samples", "expected"), where=where)
    longest = MAX_GOLDEN_S * manifest.sample_rate_hz
    if samples.ndim != 1 or not manifest.min_samples <= len(samples) <= longest:
        raise BundleError(
            f"{where}: samples has the shape {samples.shape}, must be one recording of "
            f"{manifest.min_samples} to {longest} samples; export it again"
        )
    num_frames = 1 + (len(samples) - manifest.receptive_field) // manifest.stride
    frames = (num_frames,) if TASKS[manifest.task].has_frames else ()
    if expected.shape != (*frames, manifest.num_outputs):
        raise BundleError(
            f"{where}: expected has the shape {expected.shape}, the manifest says "
            f"{(*frames, manifest.num_outputs)}; export it again"
        )
    return samples, expected
