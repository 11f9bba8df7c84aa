"""Export SEW-D checkpoints to verified bundles that run without torch.

Importing the package imports nothing else until a name is first used, so the command can speak before torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sewd_export._public import *  # noqa: F403 - the list is there


if not TYPE_CHECKING:  # a type checker would take every name for a public one

    def __getattr__(name: str) -> Any:
        if name == "__all__":
            return sorted(_names())
        if name.startswith("_") or name not in (names := _names()):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals().update(names)
        return names[name]


def _names() -> dict[str, Any]:
    from sewd_export.extra import extra_required

    with extra_required():
        public = import_module(f"{__name__}._public")
    return {name: value for name, value in vars(public).items() if not name.startswith("_")}


def __dir__() -> list[str]:
    return sorted({*globals(), *_names()})
