"""Which matmuls a precision keeps in float32 and why (docs/bundle.md is normative)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, cast

from sewd_runtime.bundle.schema import Amount, Count, Positive, Share, build, one_of, parse_json, to_plain

MEASURES = {"wer": "word error rate", "disagreement": "share of transcripts that differ from float32's"}


def sensitivity_file(precision: str) -> str:
    """Return the name of a precision's file: `sensitivity.int8.json`."""
    return f"sensitivity.{precision}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Matmuls that read the same input, and so are converted or kept together.

    products: the names of their nodes. moved: share of a frame's probability that moves to other labels when
        this group alone is converted, averaged over frames (total variation distance).
    multiplications: its share of all groups' multiplications.
    """

    products: tuple[str, ...]
    moved: Share
    multiplications: Share
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One model that was tried: the number of groups it kept, and the increase that was measured."""

    kept: Count
    increase: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """The search for the fewest groups to keep; increases are percentage points above float32.

    words: in the transcripts, 0 without transcripts. groups: in the order in which they are kept; empty if
    none had to be kept, because then no group was measured.
    """

    measure: Annotated[str, one_of(MEASURES)]
    max_increase: Amount
    increase: float
    recordings: Positive
    words: Count
    trials: tuple[Trial, ...]
    groups: tuple[Group, ...]

    @classmethod
    def from_json(cls, text: str, *, where: str) -> "Sensitivity":
        """Read the file's text strictly; raises ManifestKeyError or ManifestTypeError."""
        return cast(Sensitivity, build(cls, parse_json(text, where=where), where=where))

    def to_json(self, *, where: str) -> str:
        """Return the file's text; raises what `from_json` would raise."""
        text = json.dumps(to_plain(self), indent=2, ensure_ascii=False) + "\n"
        self.from_json(text, where=where)
        return text

    @property
    def kept(self) -> tuple[Group, ...]:
        """The groups that are kept in float32."""
        return tuple(group for group in self.groups if group.kept)

    def describe(self, precision: str) -> Iterator[str]:
        """Yield lines of text: what is kept and why, one line for each group."""
        on = f"{self.recordings} recordings" + (f", {self.words} words" if self.words else "")
        yield (
            f"{precision}: {MEASURES[self.measure]} {self.increase:+.2f} percentage points against float32, "
            f"at most {self.max_increase:+g} allowed ({on})"
        )
        if not self.kept:
            yield "kept in float32: nothing, the bound holds as it is"
            return
        share = sum(group.multiplications for group in self.kept)
        count = f"{len(self.kept)} of {len(self.groups)} groups of matmuls"
        yield f"kept in float32: {count}, {share:.1%} of their multiplications"
        for group in self.kept:
            yield f"  {group.moved:.1e}  {group.multiplications:>6.1%}  {', '.join(group.products)}"
        yield "  (probability that moves with that group alone converted; share of multiplications; matmuls)"
