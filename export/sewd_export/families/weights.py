"""A checkpoint's weights, read by prefix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Weights:
    """A view of a state dict below one prefix; names are the original's."""

    state_dict: Mapping[str, Tensor]
    prefix: str = ""

    def at(self, *names: str | int) -> Weights:
        """Return the view below `names`, as in `weights.at("layer", 3)`."""
        return Weights(self.state_dict, self.prefix + "".join(f"{name}." for name in names))

    def __getitem__(self, name: str) -> Tensor:
        return self.state_dict[self.prefix + name]

    def get(self, name: str) -> Tensor | None:
        """Return the weight, or None where the layer has none (a missing bias)."""
        return self.state_dict.get(self.prefix + name)

    def below(self) -> dict[str, Tensor]:
        """Return every weight below the prefix, with the prefix taken off."""
        start = len(self.prefix)
        return {
            name[start:]: value for name, value in self.state_dict.items() if name.startswith(self.prefix)
        }
